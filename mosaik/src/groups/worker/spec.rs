//! What the parts of a member are told of its configuration.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::timeout;

use crate::{
    clock::{Clock, to_delta},
    discovery::Discovery,
    groups::{
        autopilot,
        bonds::{Agreement, GroupSpec, Judge},
        config::{GroupConfig, Quorum, Storage},
        formation,
        group::Core,
        machine::LeadershipPreference,
        raft::{Limits, Timing},
    },
    id::PeerId,
    ticket::Verdict,
    tickets::{self, TicketValidator},
};

/// How long tickets are waited for that are not here yet.
const FETCH: Duration = Duration::from_secs(2);

pub(super) fn strict(config: &GroupConfig) -> Option<usize> {
    match config.quorum() {
        Quorum::Strict(founders) => Some(founders),
        Quorum::Elastic => None,
    }
}

/// Whether what several members have agreed upon can be lost although each of them comes back.
pub(super) fn may_forget(config: &GroupConfig) -> bool {
    config.storage() == Storage::Memory && strict(config).is_some_and(|founders| founders > 1)
}

pub(super) fn is_observer(config: &GroupConfig) -> bool {
    config.preference == LeadershipPreference::Observer
}

pub(super) fn formation(config: &GroupConfig, clock: &Clock) -> formation::Config {
    let consensus = config.consensus();
    let mut formation = formation::Config::new(strict(config), config.max_voters());
    formation.observer = is_observer(config);
    formation.reluctant = matches!(config.preference, LeadershipPreference::Reluctant { .. });
    formation.timing = timing(config);
    formation.bootstrap_delay = consensus.bootstrap_delay;
    formation.date_us = u64::try_from(clock.now().timestamp_micros()).unwrap_or(0);
    formation
}

pub(super) fn autopilot(config: &GroupConfig) -> autopilot::Settings {
    let consensus = config.consensus();
    let mut settings = autopilot::Settings::new(strict(config), config.max_voters(), false);
    settings.fresh = fresh(&timing(config));
    settings.evict_after = consensus.evict_after;
    settings.stabilization = consensus.stabilization;
    settings
}

/// Who has acknowledged something within this time is well.
pub(super) fn fresh(timing: &Timing) -> Duration {
    timing.heartbeat.saturating_mul(4).max(timing.election_max)
}

/// The times of an incarnation that this member founds.
fn timing(config: &GroupConfig) -> Timing {
    let consensus = config.consensus();
    Timing {
        heartbeat: consensus.heartbeat_interval,
        election_min: consensus.election_timeout,
        election_max: consensus.lease(),
    }
}

/// How many election times this member lets pass before it stands for election.
pub(super) fn patience(config: &GroupConfig) -> u32 {
    match config.preference {
        LeadershipPreference::Reluctant { factor } => factor.max(1),
        _ => 1,
    }
}

pub(super) fn limits(config: &GroupConfig) -> Limits {
    Limits { snapshot_every: config.snapshot_every(), ..Limits::default() }
}

pub(super) fn bonds(
    core: &Arc<Core>,
    discovery: &Discovery,
    session: u64,
    status: Bytes,
) -> GroupSpec {
    let config = core.config();
    GroupSpec {
        id: *config.group_id(),
        secret: *config.key().secret(),
        agreement: agreement(config),
        session,
        observer: is_observer(config),
        status,
        judge: judge(config.auth().to_vec().into(), discovery.clone()),
    }
}

/// What all members must agree on.
pub(crate) fn agreement(config: &GroupConfig) -> Agreement {
    Agreement {
        quorum: match config.quorum() {
            Quorum::Strict(founders) => format!("strict {founders}"),
            Quorum::Elastic => format!("elastic, {:?}", config.on_rivals()),
        },
        validators: config.auth().iter().map(|it| it.signature().to_string()).collect(),
        machine_version: config.machine_version,
        schema: config.schema,
        storage: match config.storage() {
            Storage::Memory => "memory".into(),
        },
    }
}

/// Whether a peer has the tickets. Those that are not here yet are fetched.
fn judge(validators: Arc<[Arc<dyn TicketValidator>]>, discovery: Discovery) -> Judge {
    Arc::new(move |peer| {
        let (validators, discovery) = (validators.clone(), discovery.clone());
        async move {
            let mut catalog = discovery.catalog_watch();
            let judged = async {
                loop {
                    match verdict(&validators, &discovery, &peer) {
                        Some(Verdict::Valid(_)) => return true,
                        Some(Verdict::Invalid) => return false,
                        Some(Verdict::Pending) => discovery.want_tickets(peer),
                        // It has found us before its entry has.
                        None => {}
                    }
                    if catalog.changed().await.is_err() {
                        return false;
                    }
                }
            };
            timeout(FETCH, judged).await.unwrap_or(false)
        }
        .boxed()
    })
}

/// What the validators say of a peer now; `None` if it is not in the catalog.
pub(super) fn verdict(
    validators: &[Arc<dyn TicketValidator>],
    discovery: &Discovery,
    peer: &PeerId,
) -> Option<Verdict> {
    if validators.is_empty() {
        return Some(Verdict::Valid(crate::ticket::Expiration::Never));
    }
    let catalog = discovery.catalog();
    Some(tickets::judge(validators, catalog.get(peer)?, discovery.date()))
}

/// The same, with leeway for clocks that differ: for members, who are not to be taken out too early.
/// A ticket is good for so much longer, and from no other moment on than elsewhere.
pub(super) fn verdict_with_leeway(
    validators: &[Arc<dyn TicketValidator>],
    discovery: &Discovery,
    peer: &PeerId,
) -> Option<Verdict> {
    match verdict(validators, discovery, peer)? {
        Verdict::Invalid => {
            let catalog = discovery.catalog();
            let date = discovery.date() - to_delta(discovery.max_time_drift());
            Some(tickets::judge(validators, catalog.get(peer)?, date))
        }
        verdict => Some(verdict),
    }
}
