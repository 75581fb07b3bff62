//! A program with `#[mosaik::main]`, run as a process.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use mosaik::{NetworkId, Tag};

/// The program, cut off from the environment that the tests run in.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_program"));
    command.args(["--offline", "--bind", "127.0.0.1:0"]).args(args);
    for variable in ["NETWORK", "TAG", "BIND", "LOG", "BOOTSTRAP", "DATA_DIR", "NETWORK_SECRET"] {
        command.env_remove(format!("MOSAIK_{variable}"));
    }
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_ends_with_what_its_body_returns() {
    assert_eq!(program(&["well"]).output().unwrap().status.code(), Some(0));
    assert_eq!(program(&["code", "7"]).output().unwrap().status.code(), Some(7));
}

#[test]
fn an_error_is_printed_with_its_causes() {
    let output = program(&["badly"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    let cause = std::fmt::Error.to_string();
    let chain = format!("error: it failed, as it was told\n  caused by: {cause}\n");
    assert!(error.ends_with(&chain), "{error}");
}

#[test]
fn flags_and_variables_reach_the_node() {
    let plain = stdout(&program(&["well"]).output().unwrap());
    assert!(plain.contains(&format!("network {}", NetworkId::from("ui-tests"))), "{plain}");
    assert!(plain.contains(&format!("tags {}\n", Tag::from("ui-tests"))), "{plain}");
    assert!(plain.contains("127.0.0.1"), "{plain}");

    let output = program(&["well", "--network", "other", "--tag", "extra"])
        .env("MOSAIK_NETWORK", "not this one")
        .env("MOSAIK_NETWORK_SECRET", "hush")
        .output()
        .unwrap();
    let told = stdout(&output);
    let id = NetworkId::from("other").derive("hush");
    assert!(told.contains(&format!("network {id}")), "{told}");
    assert!(told.contains(&Tag::from("extra").to_string()), "{told}");
}

#[test]
fn help_version_and_mistakes_are_claps() {
    let help = program(&["--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    for text in ["Ends as it is told", "never", "--network <NAME>", "MOSAIK_NETWORK"] {
        assert!(stdout(&help).contains(text), "{text} is missing in:\n{}", stdout(&help));
    }
    assert_eq!(program(&["--version"]).output().unwrap().status.code(), Some(0));
    let mistake = program(&["well", "--colour"]).output().unwrap();
    assert_eq!(mistake.status.code(), Some(2));
    assert!(stderr(&mistake).contains("--colour"), "{}", stderr(&mistake));
    let variable = program(&["well"]).env("MOSAIK_BOOTSTRAP", "nobody").output().unwrap();
    assert_eq!(variable.status.code(), Some(1));
    assert!(stderr(&variable).contains("MOSAIK_BOOTSTRAP"), "{}", stderr(&variable));
}

#[test]
fn a_signal_makes_it_leave() {
    for signal in ["-INT", "-TERM"] {
        let mut child =
            program(&["never"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let sent = Instant::now();
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(wait(&mut child).code(), Some(0), "{signal}");
        assert!(sent.elapsed() < Duration::from_secs(5), "{signal} took {:?}", sent.elapsed());
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// Waits for a child, and ends one that does not end by itself.
fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
