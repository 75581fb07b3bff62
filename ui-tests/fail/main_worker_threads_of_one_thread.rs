#[mosaik::main(worker_threads = 4, flavor = "current_thread")]
async fn main() {}
