#[mosaik::main]
async fn main(args: u16) {
    let _ = args;
}
