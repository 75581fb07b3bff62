//! The processes of the tour, and what the parent knows of them.

use std::{
    collections::BTreeMap,
    env,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use mosaik::PeerId;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use crate::{
    NODE,
    report::{Order, Report, Tally},
};

/// How long the tour waits for anything before it calls it a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// All actors of the tour. Dropping it kills those that still run.
#[derive(Debug)]
pub struct Cast {
    network: String,
    started: usize,
    pub actors: Vec<Actor>,
}

impl Cast {
    pub fn new(network: String) -> Self {
        Self { network, started: 0, actors: Vec::new() }
    }

    /// The network that all of them are in.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Starts a process that runs this program as a node.
    pub async fn start(&mut self, name: &'static str) -> anyhow::Result<()> {
        let mut child = Command::new(env::current_exe()?)
            .args([NODE, &self.network])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // In a group of its own, so that Ctrl-C reaches the parent only, which ends the story.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("a process cannot be started")?;
        let (diary, read) = watch::channel(Diary::default());
        let stdin = child.stdin.take().context("the process has no input")?;
        tokio::spawn(keep(diary, child.stdout.take().context("the process has no output")?));
        let number = self.started;
        self.started += 1;
        let mut actor = Actor { name, number, id: None, child, stdin, diary: read };
        actor.id = Some(actor.until("is up", |diary| diary.id).await?);
        self.actors.push(actor);
        Ok(())
    }

    /// Gives everybody the same order.
    pub async fn order(&mut self, order: Order) -> anyhow::Result<()> {
        for actor in &mut self.actors {
            actor.order(order).await?;
        }
        Ok(())
    }

    /// Everybody together with each of the others.
    pub fn pairs(&self) -> impl Iterator<Item = (&Actor, &Actor)> {
        let all = self.actors.iter();
        let pairs = all.flat_map(|one| self.actors.iter().map(move |other| (one, other)));
        pairs.filter(|(one, other)| one.number != other.number)
    }

    /// How many readings those who are left have heard of each other.
    pub fn exchanged(&self) -> u64 {
        let heard = |(one, other): (&Actor, &Actor)| {
            one.diary.borrow().heard.get(&other.id()).map_or(0, |tally| tally.count)
        };
        self.pairs().map(heard).sum()
    }

    /// Lets everybody pause, and waits until all have heard what the others sent last.
    pub async fn pause(&mut self) -> anyhow::Result<Vec<Heard>> {
        let mut sent = BTreeMap::new();
        for actor in &mut self.actors {
            let before = actor.diary().sent.len();
            actor.order(Order::Pause).await?;
            let total = actor.until("pauses", |diary| diary.sent.get(before).copied()).await?;
            sent.insert(actor.id(), total);
        }
        let mut all = Vec::new();
        for (one, other) in self.pairs() {
            let sent = sent[&other.id()];
            let tally = one.until_heard(other, |tally| tally.last >= sent).await?;
            all.push(Heard { sent, tally });
        }
        Ok(all)
    }
}

/// What one actor has sent in all, and another has heard of it.
#[derive(Debug)]
pub struct Heard {
    pub sent: u64,
    pub tally: Tally,
}

/// One process.
#[derive(Debug)]
pub struct Actor {
    name: &'static str,
    number: usize,
    id: Option<PeerId>,
    child: Child,
    stdin: ChildStdin,
    diary: watch::Receiver<Diary>,
}

impl Actor {
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counted in the order of starting.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The id of its node, which it has said before the story goes on.
    pub fn id(&self) -> PeerId {
        self.id.expect("an actor enters the stage when its node is up")
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    pub async fn order(&mut self, order: Order) -> anyhow::Result<()> {
        let line = format!("{order}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        written.with_context(|| format!("{} takes no orders any more", self.name))
    }

    /// What it has reported so far.
    pub fn diary(&self) -> Diary {
        self.diary.borrow().clone()
    }

    /// Waits until what it has reported makes the closure answer; `what` completes "it .." in the
    /// message if that does not happen within [`PATIENCE`].
    pub async fn until<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&Diary) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut diary = self.diary.clone();
        let waiting = async {
            loop {
                if let Some(found) = found(&diary.borrow_and_update()) {
                    return Ok(found);
                }
                if diary.changed().await.is_err() {
                    return Err(anyhow!("{} ended before it {what}", self.name));
                }
            }
        };
        let late = || anyhow!("{} did not get there within {PATIENCE:?}: it {what}", self.name);
        timeout(PATIENCE, waiting).await.map_err(|_| late())?
    }

    /// Waits until the tally of what came from another holds, and returns it.
    pub async fn until_heard(
        &self,
        other: &Self,
        enough: impl Fn(&Tally) -> bool,
    ) -> anyhow::Result<Tally> {
        let what = format!("hears enough of {}", other.name);
        let heard = |diary: &Diary| diary.heard.get(&other.id()).filter(|t| enough(t)).cloned();
        self.until(&what, heard).await
    }

    /// Ends the process with SIGKILL: it says no goodbye, and cleans nothing up.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    /// Tells it to leave, and waits until its process has ended well.
    pub async fn leave(mut self) -> anyhow::Result<()> {
        self.order(Order::Leave).await?;
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.with_context(|| format!("{} does not leave", self.name))??;
        ensure!(status.success(), "{} left with {status}", self.name);
        Ok(())
    }
}

/// What a node has reported, and when the parent read it.
#[derive(Debug, Clone, Default)]
pub struct Diary {
    pub id: Option<PeerId>,
    pub met: BTreeMap<PeerId, Instant>,
    pub departed: BTreeMap<PeerId, Instant>,
    pub hears: BTreeMap<PeerId, Instant>,
    pub lost: BTreeMap<PeerId, Instant>,
    pub heard: BTreeMap<PeerId, Tally>,
    pub sent: Vec<u64>,
    /// Who leads the group, and since when.
    pub leader: Option<(PeerId, Instant)>,
    pub counted: u64,
    pub halted: Option<u64>,
    pub read: Option<BTreeMap<PeerId, u64>>,
}

impl Diary {
    fn note(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::Up(id) => self.id = Some(id),
            Report::Met(id) => drop(self.met.insert(id, now)),
            Report::Departed(id) => drop(self.departed.insert(id, now)),
            Report::Hears(id) => drop(self.hears.insert(id, now)),
            Report::Lost(id) => drop(self.lost.insert(id, now)),
            Report::Heard(id, tally) => drop(self.heard.insert(id, tally)),
            Report::Sent(total) => self.sent.push(total),
            Report::Leads(id) => self.leader = Some((id, now)),
            Report::Counted(count) => self.counted = count,
            Report::Halted(count) => self.halted = Some(count),
            Report::Read(counts) => self.read = Some(counts),
        }
    }
}

/// Writes down what a node says, until it ends.
async fn keep(diary: watch::Sender<Diary>, output: ChildStdout) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.parse() {
            Ok(report) => diary.send_modify(|diary| diary.note(report)),
            Err(error) => eprintln!("a node said `{line}`, which is not understood: {error:#}"),
        }
    }
}
