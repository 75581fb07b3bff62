//! What `#[mosaik::main(…)]` says about a program.

use std::path::PathBuf;

use crate::id::Tag;

/// A program that is a node, as its attribute describes it.
#[derive(Debug)]
pub struct Program {
    pub(super) network: &'static str,
    pub(super) tags: Vec<Tag>,
    pub(super) worker_threads: Option<usize>,
    pub(super) current_thread: bool,
    pub(super) offline: bool,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) log: Option<&'static str>,
}

impl Program {
    /// `network` is the name of the network that is joined unless a flag says otherwise.
    pub fn new(network: &'static str) -> Self {
        Self {
            network,
            tags: Vec::new(),
            worker_threads: None,
            current_thread: false,
            offline: false,
            data_dir: None,
            log: None,
        }
    }

    /// Adds a tag to the node.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The number of the runtime's worker threads. Default: one for each core.
    #[must_use]
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = Some(threads);
        self
    }

    /// Runs everything on the main thread.
    #[must_use]
    pub fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    /// Whether services on the internet are left alone, unless a flag or the environment says
    /// otherwise.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Where the node keeps what outlives it, unless a flag says otherwise.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<Option<PathBuf>>) -> Self {
        self.data_dir = path.into();
        self
    }

    /// What is logged unless a flag or the environment says otherwise.
    #[must_use]
    pub fn log(mut self, filter: &'static str) -> Self {
        self.log = Some(filter);
        self
    }
}
