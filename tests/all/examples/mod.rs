//! The examples, as the processes that users start.

mod group_chat;
mod ledger;
