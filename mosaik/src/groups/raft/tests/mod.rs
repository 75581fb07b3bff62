//! Tests of the consensus core: openraft's own of a storage, and clusters in one process, in
//! paused time, whose members are joined by a router with faults.

mod cluster;
mod codec;
mod elections;
mod failures;
mod figures;
mod log;
mod members;
mod router;
mod snapshots;
mod state;
mod storage;

use cluster::Cluster;
use router::Router;
use state::Sums;
