#[mosaik::main]
async fn main() -> u16 {
    7
}
