//! What the nodes of the tour agree upon, and how they count in it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use mosaik::{
    Network, PeerId,
    groups::{ApplyContext, CommandError, GroupEvent, GroupKey, Pending, QueryError},
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::report::{Order, Report};

/// Between two commands of a node.
const PACE: Duration = Duration::from_millis(4);

/// Who has counted how far: a state that every member has, and none can change alone.
#[mosaik::group_state("tour.counts", quorum = 3)]
#[derive(Debug, Clone, Default)]
pub struct Counts {
    of: BTreeMap<PeerId, u64>,
}

#[mosaik::group_state]
impl Counts {
    /// A command: counts one for whoever calls, and returns how many that makes.
    pub fn count(&mut self, ctx: &ApplyContext) -> u64 {
        let count = self.of.entry(ctx.caller()).or_default();
        *count += 1;
        *count
    }

    /// A query.
    pub fn all(&self) -> BTreeMap<PeerId, u64> {
        self.of.clone()
    }
}

/// Joins the group when it is told to, and counts as the parent orders.
pub async fn run(network: &Network, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<()> {
    while orders.recv().await.context("nobody gives orders")? != Order::Join {}
    let group = Counts::join(network, GroupKey::new(*network.network_id()));
    let mut events = group.events();
    let (counting, told) = watch::channel(false);
    let leaders = async {
        loop {
            match events.recv().await {
                Ok(GroupEvent::LeaderChanged { leader: Some(leader), .. }) => {
                    Report::Leads(leader).say();
                }
                Ok(_) => {}
                Err(error) => return Err(error).context("the group is gone"),
            }
        }
    };
    let obey = async {
        loop {
            match orders.recv().await.context("nobody gives orders")? {
                Order::Count => drop(counting.send_replace(true)),
                Order::Halt => drop(counting.send_replace(false)),
                Order::Read => Report::Read(read(&group).await?).say(),
                _ => {}
            }
        }
    };
    tokio::select! {
        ended = leaders => ended,
        ended = obey => ended,
        ended = count(&group, told) => ended,
    }
}

/// Counts for as long as it shall. A command that is under way is always waited for.
async fn count(group: &CountsHandle, mut shall: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut counted = 0;
    loop {
        shall.wait_for(|shall| *shall).await?;
        while *shall.borrow() {
            let count = count_one(group).await?;
            counted += 1;
            ensure!(count == counted, "a command was lost or doubled: {count} for {counted}");
            Report::Counted(counted).say();
            sleep(PACE).await;
        }
        Report::Halted(counted).say();
    }
}

async fn count_one(group: &CountsHandle) -> anyhow::Result<u64> {
    loop {
        match group.count().await {
            Ok(count) => return Ok(count),
            // There was no leader, and it certainly was not applied: another one, then.
            Err(CommandError::Offline(_)) => {}
            // It may have been applied. Another one would be one too many.
            Err(CommandError::Timeout(pending)) => return wait_on(pending).await,
            Err(error) => return Err(error).context("a command failed"),
        }
    }
}

/// Waits for the answer to the same command.
async fn wait_on(mut pending: Pending<Counts>) -> anyhow::Result<u64> {
    loop {
        match pending.retry().await {
            Ok(mut done) => {
                let CountsReply::Count(count) = done.responses.pop().context("no response")?;
                return Ok(count);
            }
            Err(CommandError::Timeout(again)) => pending = again,
            Err(error) => return Err(error).context("a command failed"),
        }
    }
}

async fn read(group: &CountsHandle) -> anyhow::Result<BTreeMap<PeerId, u64>> {
    loop {
        match group.all().await {
            Ok(counts) => return Ok(counts),
            // There was no leader.
            Err(QueryError::Offline(_)) => {}
            Err(error) => return Err(error).context("a query failed"),
        }
    }
}
