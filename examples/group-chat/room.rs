//! A room: a stream that all who are in it both produce and consume.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{SinkExt, StreamExt};
use mosaik::{
    Network, PeerId,
    discovery::PeerEntry,
    streams::{Consumer, Producer},
};
use mosaik_examples::{
    peers::{Change, Peers},
    screen::{Screen, printable},
};

/// What travels.
#[mosaik::stream("examples.group-chat")]
#[derive(Debug, Clone)]
struct Post {
    author: PeerId,
    nickname: String,
    content: Content,
}

#[mosaik::data]
#[derive(Debug, Clone)]
enum Content {
    /// Somebody who is new shall know the author's name.
    Greeting,
    /// Said to all.
    Line(String),
}

/// How many of its last posts each member keeps for those who come late.
const KEPT: usize = 20;

/// A room, as one who is in it sees it.
#[derive(Debug)]
pub struct Room<'a> {
    screen: &'a Screen,
    me: PeerEntry,
    nickname: String,
    producer: Producer<Post>,
    consumer: Consumer<Post>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// Whose posts come here at present.
    connected: BTreeMap<PeerId, PeerEntry>,
    /// Kept when they leave: they may come back.
    names: BTreeMap<PeerId, String>,
}

impl<'a> Room<'a> {
    pub fn enter(
        network: &Network,
        screen: &'a Screen,
        nickname: String,
        name: &str,
    ) -> anyhow::Result<Self> {
        let stream = Post::STREAM_ID.derive(name);
        let streams = network.streams();
        let producer = streams
            .producer::<Post>()
            .with_stream_id(stream)
            .retain(KEPT)
            // What is said to an empty room is kept for who comes next.
            .online_when(|readers| readers.minimum_of(0));
        Ok(Self {
            screen,
            me: network.discovery().me().into(),
            nickname,
            producer: producer.build()?,
            consumer: streams.consumer::<Post>().with_stream_id(stream).build(),
            members: Mutex::default(),
        })
    }

    /// Says something to all who are here, and to those who come soon.
    pub async fn say(&self, text: &str) -> anyhow::Result<()> {
        if !self.screen.is_interactive() {
            // What comes through a pipe waits until somebody hears it.
            self.producer.when().subscribed().await;
        }
        self.producer.send(self.post(Content::Line(printable(text)))).await?;
        if self.screen.is_interactive() && self.producer.consumers().next().is_none() {
            self.screen.print("* Nobody else is here: whoever comes next will read that");
        }
        Ok(())
    }

    /// Tells this node's name, now and to everybody who comes: until something is said, this is
    /// the post that they get first.
    pub async fn greet(&self) -> anyhow::Result<()> {
        Ok(self.producer.send(self.post(Content::Greeting)).await?)
    }

    /// Prints what is said, and who comes and goes. Ends with the network.
    pub async fn listen(&self) {
        // A second handle to the same subscriptions; only this one is read.
        let mut posts = self.consumer.clone();
        let mut authors = Peers::heard_by(&self.consumer);
        loop {
            tokio::select! {
                // The last words of somebody come before the notice that he has left.
                biased;
                post = posts.next() => match post {
                    Some(post) => self.read(post),
                    None => return,
                },
                change = authors.next() => match change {
                    Change::Came(peer) => self.came(peer),
                    Change::Left(peer) => self.left(peer),
                },
            }
        }
    }

    fn read(&self, Post { author, nickname, content }: Post) {
        let nickname = printable(&nickname);
        let mut members = self.members();
        let is_new = members.names.insert(author, nickname.clone()).is_none();
        if is_new && let Some(peer) = members.connected.get(&author) {
            self.welcome(peer, &nickname);
        }
        if let Content::Line(text) = content {
            self.screen.print(format!("{nickname}> {}", printable(&text)));
        }
    }

    fn came(&self, peer: PeerEntry) {
        let mut members = self.members();
        if let Some(nickname) = members.names.get(peer.id()) {
            self.welcome(&peer, nickname);
        }
        members.connected.insert(*peer.id(), peer);
    }

    fn left(&self, peer: PeerId) {
        let mut members = self.members();
        if members.connected.remove(&peer).is_some()
            && let Some(nickname) = members.names.get(&peer)
        {
            self.screen.print(format!("* {nickname} has left"));
        }
    }

    fn welcome(&self, peer: &PeerEntry, nickname: &str) {
        let was_first = peer.started_at() < self.me.started_at();
        let what = if was_first { "is here" } else { "has come" };
        self.screen.print(format!("* {nickname} {what}"));
    }

    /// The names of all who are here.
    pub fn who(&self) -> Vec<String> {
        let members = self.members();
        let others = members.connected.keys().map(|peer| match members.names.get(peer) {
            Some(nickname) => nickname.clone(),
            None => format!("somebody at {}", peer.fmt_short()),
        });
        std::iter::once(format!("{} (you)", self.nickname)).chain(others).collect()
    }

    /// Leaves, once all that was said is on its way.
    pub async fn leave(self) -> anyhow::Result<()> {
        let mut producer = self.producer;
        producer.close().await?;
        Ok(())
    }

    fn post(&self, content: Content) -> Post {
        Post { author: *self.me.id(), nickname: self.nickname.clone(), content }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
