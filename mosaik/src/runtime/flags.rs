//! The flags of every program with `#[mosaik::main]`, merged into the program's own.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{ArgAction, ArgMatches, Args as _, Command, FromArgMatches as _};

use crate::discovery::Bootstrap;

// A doc comment on the struct would replace what the program says about itself in `--help`.
#[derive(clap::Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "Network")]
pub(crate) struct Flags {
    /// Name of the network to join [env: MOSAIK_NETWORK]
    #[arg(long, id = "mosaik-network", value_name = "NAME")]
    pub(crate) network: Option<String>,

    /// File with the network's secret [env: MOSAIK_NETWORK_SECRET_FILE, or the secret itself in
    /// MOSAIK_NETWORK_SECRET]
    #[arg(long, id = "mosaik-network-secret-file", value_name = "FILE")]
    pub(crate) network_secret_file: Option<PathBuf>,

    /// Node to meet first: its id, its ticket, or id@host:port; may be repeated [env:
    /// MOSAIK_BOOTSTRAP, separated by commas]
    #[arg(long, id = "mosaik-bootstrap", value_name = "NODE", action = ArgAction::Append)]
    pub(crate) bootstrap: Vec<Bootstrap>,

    /// File with this node's secret key, 64 hexadecimal digits [env: MOSAIK_SECRET_KEY_FILE]
    #[arg(long, id = "mosaik-secret-key-file", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// Address to listen on; may be repeated [env: MOSAIK_BIND, separated by commas]
    #[arg(long, id = "mosaik-bind", value_name = "ADDR", action = ArgAction::Append)]
    pub(crate) bind: Vec<SocketAddr>,

    /// Address at which others reach this node, for NAT and containers; may be repeated [env:
    /// MOSAIK_ADVERTISE, separated by commas]
    #[arg(long, id = "mosaik-advertise", value_name = "ADDR", action = ArgAction::Append)]
    pub(crate) advertise: Vec<SocketAddr>,

    /// Tag of this node; may be repeated [env: MOSAIK_TAG, separated by commas]
    #[arg(long, id = "mosaik-tag", value_name = "TAG", action = ArgAction::Append)]
    pub(crate) tag: Vec<String>,

    /// Use no service on the internet; `--offline=false` undoes that where it is the default [env:
    /// MOSAIK_OFFLINE=true]
    #[arg(
        long,
        id = "mosaik-offline",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) offline: Option<bool>,

    /// Whether nodes on the same LAN find each other by multicast; `--mdns=false` sends none [env:
    /// MOSAIK_MDNS=false]
    #[cfg(feature = "mdns")]
    #[arg(
        long,
        id = "mosaik-mdns",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) mdns: Option<bool>,

    /// Directory that keeps this node's key between runs [env: MOSAIK_DATA_DIR]
    #[arg(long, id = "mosaik-data-dir", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Address at which metrics are served for Prometheus, with /healthz and /readyz [env:
    /// MOSAIK_PROMETHEUS_ADDR]
    #[cfg(feature = "prometheus")]
    #[arg(long, id = "mosaik-prometheus-addr", value_name = "ADDR")]
    pub(crate) prometheus_addr: Option<SocketAddr>,

    /// Log more: -v debug, -vv trace [env: MOSAIK_LOG=filter]
    #[arg(short = 'v', long, id = "mosaik-verbose", action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Reads the program's arguments and ours from one command line.
///
/// A flag that the program defines itself is the program's: ours is then called
/// `--mosaik-<flag>`.
pub(super) fn parse(
    program: Command,
    argv: impl IntoIterator<Item = OsString>,
) -> Result<(Flags, ArgMatches), clap::Error> {
    let mut command = merge(program);
    let matches = command.try_get_matches_from_mut(argv)?;
    let flags = Flags::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((flags, matches))
}

fn merge(program: Command) -> Command {
    let longs = program.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned);
    let longs = longs.collect::<Vec<_>>();
    let shorts = program.get_arguments().filter_map(|arg| arg.get_short()).collect::<Vec<_>>();
    let has_subcommands = program.has_subcommands();
    let merged = Flags::augment_args(program);
    merged.mut_args(|arg| {
        if !arg.get_id().as_str().starts_with("mosaik-") {
            return arg;
        }
        // `app go --network x` as well as `app --network x go`.
        let mut arg = arg.global(has_subcommands);
        if let Some(long) = arg.get_long().filter(|long| longs.iter().any(|taken| taken == long)) {
            let long = format!("mosaik-{long}");
            arg = arg.long(long);
        }
        if arg.get_short().is_some_and(|short| shorts.contains(&short)) {
            arg = arg.short(None);
        }
        arg
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const ID: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";

    /// My own program
    #[derive(Parser, Debug, PartialEq, Eq)]
    #[command(name = "app", version = "7")]
    struct Plain {
        #[arg(long)]
        nickname: Option<String>,
    }

    #[derive(Parser, Debug, PartialEq, Eq)]
    struct Clashing {
        #[arg(long)]
        network: Option<String>,
        #[arg(short, long)]
        verbose: bool,
        #[command(subcommand)]
        action: Option<Action>,
    }

    #[derive(clap::Subcommand, Debug, PartialEq, Eq)]
    enum Action {
        Go { times: u8 },
    }

    fn parse_as<A: Parser>(line: &str) -> Result<(Flags, A), clap::Error> {
        let argv = line.split_whitespace().map(OsString::from);
        let (flags, matches) = parse(A::command(), argv)?;
        Ok((flags, A::from_arg_matches(&matches)?))
    }

    #[test]
    fn both_kinds_of_flags_are_read_from_one_line() {
        let (flags, args) = parse_as::<Plain>(&format!(
            "app --network a --nickname ann --bootstrap {ID}@a:1 --bootstrap {ID} -vv --tag t \
                 --bind 127.0.0.1:4 --bind [::1]:5 --offline"
        ))
        .unwrap();
        assert_eq!(args.nickname.as_deref(), Some("ann"));
        assert_eq!(flags.network.as_deref(), Some("a"));
        assert_eq!(flags.bootstrap, [format!("{ID}@a:1"), ID.into()].map(|n| n.parse().unwrap()));
        assert_eq!(flags.bind.len(), 2);
        assert_eq!((flags.verbose, flags.offline), (2, Some(true)));
    }

    #[test]
    fn help_shows_both_and_keeps_what_the_program_says_of_itself() {
        let help = parse_as::<Plain>("app --help").unwrap_err().to_string();
        for text in ["My own program", "--nickname", "Network:", "--network <NAME>", "--data-dir"] {
            assert!(help.contains(text), "{text} is missing in:\n{help}");
        }
        let version = parse_as::<Plain>("app --version").unwrap_err().to_string();
        assert_eq!(version, "app 7\n");
    }

    #[test]
    fn a_flag_of_the_program_wins_and_ours_is_renamed() {
        let (flags, args) =
            parse_as::<Clashing>("app --network mine --mosaik-network ours -v --mosaik-verbose")
                .unwrap();
        assert_eq!(args.network.as_deref(), Some("mine"));
        assert_eq!(flags.network.as_deref(), Some("ours"));
        assert!(args.verbose);
        assert_eq!(flags.verbose, 1);
    }

    #[test]
    fn ours_may_stand_behind_a_subcommand() {
        let (flags, args) = parse_as::<Clashing>("app go 3 --offline --tag t").unwrap();
        assert_eq!(args.action, Some(Action::Go { times: 3 }));
        assert_eq!(flags.offline, Some(true));
        assert_eq!(flags.tag, ["t"]);
    }

    #[test]
    fn offline_is_said_or_undone() {
        for (line, offline) in
            [("app", None), ("app --offline", Some(true)), ("app --offline=false", Some(false))]
        {
            assert_eq!(parse_as::<Plain>(line).unwrap().0.offline, offline, "{line}");
        }
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (flag, name) in [("--bind", "--bind <ADDR>"), ("--bootstrap", "--bootstrap <NODE>")] {
            let error = parse_as::<Plain>(&format!("app {flag} nowhere")).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
