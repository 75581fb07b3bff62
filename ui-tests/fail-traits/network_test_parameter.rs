// What the expansion of `#[mosaik::network_test]` says of each parameter; the attribute's function
// itself is there in test builds only.
fn main() {
    let _ = mosaik::private::testing::Scenario::new().nodes::<u16>();
}
