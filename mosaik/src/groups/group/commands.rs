//! Commands: from values to a call in the queue, and from its outcome to responses.

use std::{sync::Arc, time::Duration};

use super::{Group, Shared};
use crate::{
    groups::{
        calls::{Call, Kind, Pending, Settled, Submitted},
        committed::{Committed, CommittedMany},
        config::MAX_COMMAND_BYTES,
        error::CommandError,
        index::{Index, IndexRange},
        machine::{Reply, StateMachine},
    },
    schema::{self, EncodeError},
};

/// A call that was made: in the queue, or waiting for room there.
enum Made {
    Queued(Submitted),
    Waiting(Call),
}

/// A call that was not made.
enum Unmade {
    Empty,
    TooLarge(usize),
    Encoding(EncodeError),
}

impl<M: StateMachine> Group<M> {
    /// Has the group apply a command, and waits until it was applied here: whoever reads this
    /// member's state after that sees it.
    ///
    /// The command is taken when this is called, and the commands of one node are applied in the
    /// order of the calls; beyond 65,536 calls or 256 MiB that are not answered, it is taken when
    /// there is room for it and the future is polled. Each is applied once, whatever becomes of leaders and connections on the
    /// way. Dropping the future gives up on the answer, not on the command.
    ///
    /// # Errors
    /// See [`CommandError`], which says for each case whether the command was applied.
    pub fn execute(
        &self,
        command: M::Command,
    ) -> impl Future<Output = Result<Committed<M::Response>, CommandError<M>>>
    + Send
    + Sync
    + 'static
    + use<M> {
        let made = self.shared().make_one(&command, Kind::Execute);
        let shared = self.shared().clone();
        async move {
            let (index, reply) = shared.done(made, 1, || vec![command]).await?;
            let response = reply.decode().map_err(|_| CommandError::Undecodable { index })?;
            Ok(Committed::new(index, response))
        }
    }

    /// Has the group apply commands together: one after the other with nothing in between, or none
    /// of them. Otherwise as [`Group::execute`].
    ///
    /// # Errors
    /// [`CommandError::NoCommands`] if there are none; for the rest see [`CommandError`].
    pub fn execute_many<I>(
        &self,
        commands: I,
    ) -> impl Future<Output = Result<CommittedMany<M::Response>, CommandError<M>>>
    + Send
    + Sync
    + 'static
    + use<M, I>
    where
        I: IntoIterator<Item = M::Command>,
    {
        let commands: Vec<M::Command> = commands.into_iter().collect();
        let made = self.shared().make_many(&commands, Kind::Execute);
        let shared = self.shared().clone();
        async move {
            let count = commands.len();
            let (index, reply) = shared.done(made, count, || commands).await?;
            decode_many(index, &reply, count)
        }
    }

    /// Hands a command to the group, and waits only until the leader has appended it to its log: it
    /// will be applied unless that leader is lost first. It is sent again then, and may get another
    /// index.
    ///
    /// It is taken, and dropped, as that of [`Group::execute`].
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn feed(
        &self,
        command: M::Command,
    ) -> impl Future<Output = Result<Index, CommandError<M>>> + Send + Sync + 'static + use<M> {
        let made = self.shared().make_one(&command, Kind::Feed);
        let shared = self.shared().clone();
        async move { shared.fed(made, 1, || vec![command]).await }
    }

    /// Hands commands to the group that are applied together, as [`Group::feed`] does with one.
    ///
    /// # Errors
    /// [`CommandError::NoCommands`] if there are none; for the rest see [`CommandError`].
    pub fn feed_many<I>(
        &self,
        commands: I,
    ) -> impl Future<Output = Result<IndexRange, CommandError<M>>> + Send + Sync + 'static + use<M, I>
    where
        I: IntoIterator<Item = M::Command>,
    {
        let commands: Vec<M::Command> = commands.into_iter().collect();
        let made = self.shared().make_many(&commands, Kind::Feed);
        let shared = self.shared().clone();
        async move {
            let count = commands.len();
            let first = shared.fed(made, count, || commands).await?;
            Ok(first..=first + (count as u64).saturating_sub(1))
        }
    }
}

impl<M: StateMachine> Shared<M> {
    fn make_one(&self, command: &M::Command, kind: Kind) -> Result<Made, Unmade> {
        let command = schema::encode(command).map_err(Unmade::Encoding)?;
        self.make(Call::One(command), kind)
    }

    fn make_many(&self, commands: &[M::Command], kind: Kind) -> Result<Made, Unmade> {
        let commands: Result<Vec<_>, _> = commands.iter().map(schema::encode).collect();
        self.make(Call::Many(commands.map_err(Unmade::Encoding)?), kind)
    }

    fn make(&self, call: Call, kind: Kind) -> Result<Made, Unmade> {
        if call.count() == 0 {
            return Err(Unmade::Empty);
        }
        if call.bytes() > MAX_COMMAND_BYTES {
            return Err(Unmade::TooLarge(call.bytes()));
        }
        Ok(match self.core().queue().submit(call, kind, self.limit()) {
            Ok(submitted) => Made::Queued(submitted),
            Err(call) => Made::Waiting(call),
        })
    }

    fn limit(&self) -> Duration {
        self.core().config().consensus().forward_timeout
    }

    /// Waits until a call is settled. `commands` gives back what it consists of.
    async fn settled<C: FnOnce() -> Vec<M::Command>>(
        &self,
        made: Result<Made, Unmade>,
        kind: Kind,
        commands: C,
    ) -> Result<(u64, Settled, C), CommandError<M>> {
        let made = match made {
            Ok(made) => made,
            Err(Unmade::Empty) => return Err(CommandError::NoCommands),
            Err(Unmade::Encoding(error)) => return Err(CommandError::Encoding(commands(), error)),
            Err(Unmade::TooLarge(size)) => {
                let (commands, limit) = (commands(), MAX_COMMAND_BYTES);
                return Err(CommandError::TooLarge { commands, size, limit });
            }
        };
        let submitted = match made {
            Made::Queued(submitted) => Some(submitted),
            Made::Waiting(call) => self.core().queue().submit_later(call, kind, self.limit()).await,
        };
        let Some(submitted) = submitted else {
            return Err(CommandError::Offline(commands()));
        };
        let (id, settled) = submitted.outcome().await.ok_or(CommandError::GroupTerminated)?;
        Ok((id, settled, commands))
    }

    async fn done(
        self: &Arc<Self>,
        made: Result<Made, Unmade>,
        count: usize,
        commands: impl FnOnce() -> Vec<M::Command>,
    ) -> Result<(Index, Reply), CommandError<M>> {
        let (id, settled, commands) = self.settled(made, Kind::Execute, commands).await?;
        match settled {
            Settled::Applied { index, reply } => Ok((index, reply)),
            other => Err(self.failed(id, other, count, commands)),
        }
    }

    async fn fed(
        self: &Arc<Self>,
        made: Result<Made, Unmade>,
        count: usize,
        commands: impl FnOnce() -> Vec<M::Command>,
    ) -> Result<Index, CommandError<M>> {
        let (id, settled, commands) = self.settled(made, Kind::Feed, commands).await?;
        match settled {
            Settled::Appended { index } => Ok(index),
            other => Err(self.failed(id, other, count, commands)),
        }
    }

    fn failed(
        self: &Arc<Self>,
        id: u64,
        settled: Settled,
        count: usize,
        commands: impl FnOnce() -> Vec<M::Command>,
    ) -> CommandError<M> {
        match settled {
            Settled::Offline => CommandError::Offline(commands()),
            Settled::Timeout => {
                CommandError::Timeout(Pending { shared: self.clone(), id, count, kept: true })
            }
            Settled::Lagging { index } => CommandError::Lagging { index },
            Settled::Skipped { index } => CommandError::Skipped { index },
            Settled::Rejected { index } => CommandError::Rejected { index },
            Settled::Lost => CommandError::Lost,
            // An outcome of the other kind of call: it was applied, and what it said is not known.
            Settled::Undecodable { index }
            | Settled::Applied { index, .. }
            | Settled::Appended { index } => CommandError::Undecodable { index },
        }
    }

    /// Waits again for a call that took too long.
    pub(crate) async fn resume(
        self: Arc<Self>,
        id: u64,
        count: usize,
    ) -> Result<CommittedMany<M::Response>, CommandError<M>> {
        let queue = self.core().queue();
        let Some(resumed) = queue.resume(id, self.limit()) else {
            let is_closed = queue.is_closed();
            return Err(if is_closed { CommandError::GroupTerminated } else { CommandError::Lost });
        };
        let (id, settled) = resumed.outcome().await.ok_or(CommandError::GroupTerminated)?;
        match settled {
            Settled::Applied { index, reply } => decode_many(index, &reply, count),
            other => Err(self.failed(id, other, count, Vec::new)),
        }
    }
}

fn decode_many<M: StateMachine>(
    index: Index,
    reply: &Reply,
    count: usize,
) -> Result<CommittedMany<M::Response>, CommandError<M>> {
    let responses = reply.decode_many(count).map_err(|_| CommandError::Undecodable { index })?;
    Ok(CommittedMany::new(index, responses))
}
