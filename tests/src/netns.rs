//! Machines of a test's own: network namespaces, which no network but theirs notices.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};

/// If this variable is set, a machine on which no namespaces can be made fails these tests.
const REQUIRED: &str = "MOSAIK_REQUIRE_NETNS";

/// The arguments of `unshare` that run a script as the first process of a machine of its own, which
/// ends with it.
#[must_use]
pub fn machine(script: &str) -> Vec<String> {
    let unshare = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"];
    let unshare = unshare.into_iter().chain(["--kill-child", "bash", "-c"]).map(str::to_owned);
    unshare.chain([script.to_owned()]).collect()
}

/// Whether this machine permits what the script does; says why not, and what is not tested.
///
/// # Panics
/// When it does not, and the environment says that it must.
#[must_use]
pub fn is_permitted(script: &str, what: &str) -> bool {
    let tried = Command::new("unshare").args(machine(script)).stdout(Stdio::null()).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => format!("no namespaces here: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => format!("`unshare` cannot be run: {error}"),
    };
    assert!(env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but {why}");
    // Not by `println!`: what a test prints that passes is not shown.
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {what}: {why}");
    false
}
