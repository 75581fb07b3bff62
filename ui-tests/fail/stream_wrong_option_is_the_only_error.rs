#[mosaik::stream("a", bufer = 3)]
#[derive(Debug, Clone, PartialEq)]
pub struct A {
    pub b: u8,
}

// The stream is declared in spite of the mistake: none of these is an error.
fn main() {
    use mosaik::Datum;
    let bytes = A { b: 1 }.encode().unwrap();
    assert_eq!(A::decode(&bytes).unwrap(), A { b: 1 });
    println!("{} {}", A::STREAM_ID, A::INTENT);
}
