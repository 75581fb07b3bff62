//! Linearizable reads, from whichever member.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::messages::{Answer, Question, decode, encode};
use crate::groups::{
    group::Core,
    raft::{Node, ReadPoint, Role},
};

/// The pause before a leader is asked again that was not ready, or another is known.
const AGAIN: Duration = Duration::from_millis(10);

/// Waits until this member has applied all that was answered, anywhere, before this call. `false`:
/// the group has ended here. It goes on for as long as no leader answers.
pub(crate) async fn catch_up(core: &Arc<Core>) -> bool {
    let ended = core.tasks().token().clone();
    let caught_up = async {
        loop {
            if core.seen().borrow().online
                && let Some(node) = core.node()
                && let Some(point) = point(core, &node).await
                && node.wait_applied(point).await.is_ok()
            {
                return;
            }
            sleep(AGAIN).await;
        }
    };
    ended.run_until_cancelled(caught_up).await.is_some()
}

/// Asks the leader how far a state must be that is read now.
async fn point(core: &Core, node: &Node) -> Option<ReadPoint> {
    let view = node.view();
    let (leader, leads) = {
        let view = view.borrow();
        (view.leader?, view.role == Role::Leader)
    };
    if leads {
        return node.read_index().await.ok();
    }
    let bond = core.bond_with(&leader)?;
    let question = Question::Read { incarnation: node.incarnation() };
    let limit = node.timing().election_max;
    match decode(&bond.ask(encode(&question), limit).await.ok()?)? {
        Answer::Read(point) => Some(point),
        Answer::Appended { .. } | Answer::NotNow => None,
    }
}
