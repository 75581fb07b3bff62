//! What flags, environment and program say together: flags win over the environment, and both over
//! the program.

use std::{
    ffi::OsString,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use iroh::SecretKey;

use super::{flags::Flags, program::Program};
use crate::{
    Network,
    discovery::{self, Bootstrap},
    id::Tag,
    network::{self, NetworkError, read_key},
};

/// How the node is to be built.
pub(crate) struct Settings {
    pub(crate) network: String,
    pub(crate) network_secret: Option<String>,
    pub(crate) bootstrap: Vec<Bootstrap>,
    pub(crate) secret_key: Option<SecretKey>,
    pub(crate) bind: Vec<SocketAddr>,
    pub(crate) advertise: Vec<SocketAddr>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) offline: bool,
    #[cfg(feature = "mdns")]
    pub(crate) mdns: bool,
    pub(crate) data_dir: Option<PathBuf>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus_addr: Option<SocketAddr>,
    /// What is logged, in the syntax of tracing's `EnvFilter`.
    pub(crate) log: String,
}

/// What cannot be understood. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the environment variable {name} is not text")]
    NotText { name: &'static str },

    #[error("the environment variable {name} is `{value}`, which is no {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },

    #[error("cannot read the network's secret from {}", path.display())]
    ReadSecret { path: PathBuf, source: io::Error },

    #[error("{} holds no secret", path.display())]
    NoSecret { path: PathBuf },

    #[error(transparent)]
    SecretKey(NetworkError),
}

impl Settings {
    /// `env` looks a variable up; a variable that is set to nothing counts as not set.
    pub(super) fn resolve(
        program: &Program,
        flags: Flags,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let env = Env(env);
        let secret_file = flags.network_secret_file.or(env.path("MOSAIK_NETWORK_SECRET_FILE"));
        let network_secret = match secret_file {
            Some(path) => Some(read_secret(&path)?),
            None => env.text("MOSAIK_NETWORK_SECRET")?,
        };
        let key_file = flags.secret_key_file.or(env.path("MOSAIK_SECRET_KEY_FILE"));
        let tags = or_else(flags.tag, || env.list("MOSAIK_TAG", "tag"))?;
        let tags = tags.iter().map(|tag| Tag::from(tag.as_str()));
        Ok(Self {
            network: match flags.network {
                Some(name) => name,
                None => env.text("MOSAIK_NETWORK")?.unwrap_or_else(|| program.network.to_owned()),
            },
            network_secret,
            bootstrap: or_else(flags.bootstrap, || env.list("MOSAIK_BOOTSTRAP", "node"))?,
            secret_key: key_file
                .map(|path| read_key(&path).map_err(SettingsError::SecretKey))
                .transpose()?,
            bind: or_else(flags.bind, || env.list("MOSAIK_BIND", "socket address"))?,
            advertise: or_else(flags.advertise, || env.list("MOSAIK_ADVERTISE", "socket address"))?,
            tags: program.tags.iter().copied().chain(tags).collect(),
            offline: match flags.offline {
                Some(offline) => offline,
                None => env.flag("MOSAIK_OFFLINE")?.unwrap_or(program.offline),
            },
            #[cfg(feature = "mdns")]
            mdns: match flags.mdns {
                Some(mdns) => mdns,
                None => env.flag("MOSAIK_MDNS")?.unwrap_or(true),
            },
            data_dir: flags.data_dir.or(env.path("MOSAIK_DATA_DIR")).or(program.data_dir.clone()),
            #[cfg(feature = "prometheus")]
            prometheus_addr: match flags.prometheus_addr {
                Some(address) => Some(address),
                None => env.value("MOSAIK_PROMETHEUS_ADDR", "socket address")?,
            },
            log: match (flags.verbose, env.text("MOSAIK_LOG")?.or(env.text("RUST_LOG")?)) {
                (0, Some(filter)) => filter,
                (0, None) => program.log.map_or_else(|| log_filter(0), str::to_owned),
                (verbose, _) => log_filter(verbose),
            },
        })
    }
}

impl Settings {
    /// Starts the node.
    pub(super) async fn build(self) -> Result<Network, NetworkError> {
        let discovery =
            discovery::Config::builder().with_tags(self.tags).with_bootstrap(self.bootstrap);
        #[cfg(feature = "mdns")]
        let discovery = discovery.with_mdns(self.mdns);
        let mut builder = Network::builder(self.network.as_str()).with_discovery(discovery);
        if let Some(secret) = self.network_secret {
            builder = builder.secret(secret);
        }
        if let Some(key) = self.secret_key {
            builder = builder.with_secret_key(key);
        }
        if let Some(path) = self.data_dir {
            builder = builder.data_dir(path);
        }
        if self.offline {
            builder = builder.offline();
        }
        #[cfg(feature = "prometheus")]
        if let Some(address) = self.prometheus_addr {
            builder = builder.with_prometheus_addr(address);
        }
        builder = self.bind.into_iter().fold(builder, network::NetworkBuilder::bind);
        builder = self.advertise.into_iter().fold(builder, network::NetworkBuilder::advertise);
        builder.build().await
    }
}

/// What `-v` shows. Parts below mosaik speak later: they are many and chatty, and without internet
/// they warn of every address service that does not answer.
fn log_filter(verbose: u8) -> String {
    let (ours, below) = match verbose {
        0 => ("info", "error"),
        1 => ("debug", "warn"),
        2 => ("trace", "info"),
        _ => return "trace".to_owned(),
    };
    let below = BELOW.map(|target| format!("{target}={below}")).join(",");
    format!("{ours},{below}")
}

/// The logging targets of mosaik's dependencies.
const BELOW: [&str; 12] = [
    "iroh",
    "iroh_gossip",
    "iroh_mdns_address_lookup",
    "iroh_relay",
    "net_report",
    "netwatch",
    "noq",
    "noq_proto",
    "noq_udp",
    "openraft",
    "portmapper",
    "swarm_discovery",
];

fn or_else<T>(
    given: Vec<T>,
    other: impl FnOnce() -> Result<Vec<T>, SettingsError>,
) -> Result<Vec<T>, SettingsError> {
    if given.is_empty() { other() } else { Ok(given) }
}

/// The environment, with errors that name the variable.
struct Env<F>(F);

impl<F: Fn(&str) -> Option<OsString>> Env<F> {
    fn path(&self, name: &'static str) -> Option<PathBuf> {
        (self.0)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        let value = (self.0)(name).filter(|value| !value.is_empty());
        value
            .map(|value| value.into_string().map_err(|_| SettingsError::NotText { name }))
            .transpose()
    }

    fn list<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Vec<T>, SettingsError> {
        let text = self.text(name)?.unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let value = part.to_owned();
                part.parse().map_err(|_| SettingsError::Value { name, value, expected })
            })
            .collect()
    }

    #[cfg(feature = "prometheus")]
    fn value<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, SettingsError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(_) => Err(SettingsError::Value { name, value, expected }),
        }
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, SettingsError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some(other) => Err(SettingsError::Value {
                name,
                value: other.to_owned(),
                expected: "`true` or `false`",
            }),
        }
    }
}

/// A file's text without the line end that editors put there.
fn read_secret(path: &Path) -> Result<String, SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SettingsError::ReadSecret { path: path.to_owned(), source })?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
        .filter(|secret| !secret.is_empty())
        .ok_or_else(|| SettingsError::NoSecret { path: path.to_owned() })
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the secrets.
        f.debug_struct("Settings")
            .field("network", &self.network)
            .field("bootstrap", &self.bootstrap)
            .field("bind", &self.bind)
            .field("advertise", &self.advertise)
            .field("tags", &self.tags)
            .field("offline", &self.offline)
            .field("data_dir", &self.data_dir)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ID: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";

    fn node(host: &str) -> Bootstrap {
        format!("{ID}{host}").parse().unwrap()
    }

    fn resolve(flags: Flags, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let program = Program::new("app").tag("built-in");
        Settings::resolve(&program, flags, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn nothing_said_leaves_the_programs_own() {
        let settings = resolve(Flags::default(), &[("MOSAIK_NETWORK", "")]).unwrap();
        assert_eq!(settings.network, "app");
        assert_eq!(settings.tags, [Tag::from("built-in")]);
        assert!(settings.log.starts_with("info,iroh=error"));
    }

    #[test]
    fn what_the_program_says_gives_way_to_flags_and_environment() {
        let program =
            || Program::new("app").offline(true).data_dir(PathBuf::from("/its-own")).log("warn");
        let resolve = |flags, env: &[(&str, &str)]| {
            let value = |name: &str| {
                env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            };
            Settings::resolve(&program(), flags, value).unwrap()
        };
        let its_own = resolve(Flags::default(), &[]);
        assert_eq!(its_own.data_dir, Some("/its-own".into()));
        assert_eq!((its_own.log.as_str(), its_own.offline), ("warn", true));
        let env =
            [("MOSAIK_DATA_DIR", "/from-env"), ("MOSAIK_LOG", "error"), ("MOSAIK_OFFLINE", "no")];
        let from_env = resolve(Flags::default(), &env);
        assert_eq!(from_env.data_dir, Some("/from-env".into()));
        assert_eq!((from_env.log.as_str(), from_env.offline), ("error", false));
        let flags = Flags {
            data_dir: Some("/from-flag".into()),
            offline: Some(true),
            verbose: 1,
            ..Flags::default()
        };
        let from_flags = resolve(flags, &env);
        assert_eq!(from_flags.data_dir, Some("/from-flag".into()));
        assert!(from_flags.log.starts_with("debug") && from_flags.offline);
    }

    #[test]
    fn the_environment_is_read() {
        let settings = resolve(
            Flags::default(),
            &[
                ("MOSAIK_NETWORK", "net"),
                ("MOSAIK_NETWORK_SECRET", "hush"),
                ("MOSAIK_BOOTSTRAP", &format!("{ID}, {ID}@a:1,")),
                ("MOSAIK_BIND", "127.0.0.1:1,[::1]:2"),
                ("MOSAIK_TAG", "x"),
                ("MOSAIK_OFFLINE", "true"),
                ("MOSAIK_LOG", "warn"),
            ],
        )
        .unwrap();
        assert_eq!(settings.network, "net");
        assert_eq!(settings.network_secret.as_deref(), Some("hush"));
        assert_eq!(settings.bootstrap, [node(""), node("@a:1")]);
        assert_eq!(settings.bind.len(), 2);
        assert_eq!(settings.tags, [Tag::from("built-in"), Tag::from("x")]);
        assert!(settings.offline);
        assert_eq!(settings.log, "warn");
    }

    #[test]
    fn flags_win_over_the_environment() {
        let secret = file("from the file\n");
        let flags = Flags {
            network: Some("flag".to_owned()),
            network_secret_file: Some(secret.path().to_owned()),
            bootstrap: vec![node("@c:3")],
            verbose: 1,
            ..Flags::default()
        };
        let env = [
            ("MOSAIK_NETWORK", "net"),
            ("MOSAIK_NETWORK_SECRET", "hush"),
            ("MOSAIK_BOOTSTRAP", ID),
            ("MOSAIK_LOG", "warn"),
        ];
        let settings = resolve(flags, &env).unwrap();
        assert_eq!(settings.network, "flag");
        assert_eq!(settings.network_secret.as_deref(), Some("from the file"));
        assert_eq!(settings.bootstrap, [node("@c:3")]);
        assert!(settings.log.starts_with("debug"));
        assert!(!format!("{settings:?}").contains("from the file"));
    }

    #[cfg(feature = "mdns")]
    #[test]
    fn multicast_can_be_turned_off() {
        let mdns = |flag, env: &[(&str, &str)]| {
            resolve(Flags { mdns: flag, ..Flags::default() }, env).unwrap().mdns
        };
        assert!(mdns(None, &[]));
        assert!(!mdns(None, &[("MOSAIK_MDNS", "false")]));
        assert!(mdns(Some(true), &[("MOSAIK_MDNS", "false")]));
        assert!(!mdns(Some(false), &[]));
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        let key = SecretKey::from_bytes(&[7; 32]);
        let good = file(&format!("{}\n", "07".repeat(32)));
        let flags =
            |path: &Path| Flags { secret_key_file: Some(path.to_owned()), ..Flags::default() };
        let settings = resolve(flags(good.path()), &[]).unwrap();
        assert_eq!(settings.secret_key.unwrap().to_bytes(), key.to_bytes());

        let error = resolve(flags(file("nonsense").path()), &[]).unwrap_err();
        assert!(matches!(error, SettingsError::SecretKey(_)), "{error}");
        let error = resolve(flags(Path::new("/nowhere/key")), &[]).unwrap_err();
        assert!(matches!(error, SettingsError::SecretKey(_)), "{error}");
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn the_flag_for_metrics_wins_over_the_environment() {
        let addr = |text: &str| text.parse::<SocketAddr>().ok();
        let env = [("MOSAIK_PROMETHEUS_ADDR", "[::1]:9100")];
        assert_eq!(resolve(Flags::default(), &[]).unwrap().prometheus_addr, None);
        let from_env = resolve(Flags::default(), &env).unwrap();
        assert_eq!(from_env.prometheus_addr, addr("[::1]:9100"));
        let flags = Flags { prometheus_addr: addr("127.0.0.1:9000"), ..Flags::default() };
        assert_eq!(resolve(flags, &env).unwrap().prometheus_addr, addr("127.0.0.1:9000"));
        let error = resolve(Flags::default(), &[("MOSAIK_PROMETHEUS_ADDR", "9000")]).unwrap_err();
        assert!(error.to_string().ends_with("`9000`, which is no socket address"), "{error}");
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = resolve(Flags::default(), &[("MOSAIK_BIND", "nowhere")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable MOSAIK_BIND is `nowhere`, which is no socket address"
        );
        assert!(resolve(Flags::default(), &[("MOSAIK_OFFLINE", "maybe")]).is_err());
    }
}
