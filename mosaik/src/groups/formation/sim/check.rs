//! What must hold at the end of a run.

use std::{collections::BTreeSet, time::Duration};

use super::world::World;
use crate::groups::member::IncarnationId;

/// Everybody is a member of one incarnation, which is open and has a leader.
pub(super) fn is_whole(world: &World) -> Result<IncarnationId, String> {
    let mut incarnations = BTreeSet::new();
    for (host, raft) in world.rafts.iter().enumerate() {
        let Some(raft) = raft else { return Err(format!("host {host} is in nothing")) };
        incarnations.insert(raft.incarnation);
    }
    let (Some(only), true) = (incarnations.first(), incarnations.len() == 1) else {
        return Err(format!("{} incarnations", incarnations.len()));
    };
    if let Some(host) = (0..world.hosts.len()).find(|host| !world.is_inside(*host, *only)) {
        return Err(format!("host {host} is not a member yet"));
    }
    let leader =
        world.rafts.iter().flatten().filter(|raft| raft.is_settled()).max_by_key(|it| it.term);
    let Some(leader) = leader else { return Err("no leader".to_owned()) };
    let applied = leader.applied();
    let gone = applied.yielded.is_some_and(|winner| winner != *only);
    if !applied.open || gone {
        return Err(format!("{only} is not open"));
    }
    let (_, configs, learners) = leader.config();
    for raft in world.rafts.iter().flatten() {
        let named = learners.contains(&raft.member)
            || configs.iter().any(|voters| voters.contains(&raft.member));
        if !named {
            return Err(format!("{} is not in the membership", raft.member));
        }
    }
    Ok(*only)
}

/// How long it took to heal, or what is wrong.
pub(super) fn verdict(world: &World) -> Result<Duration, String> {
    if let Some(broken) = &world.broken {
        return Err(broken.clone());
    }
    if world.plan.strict.is_some() && world.opened.len() > 1 {
        return Err(format!("{} strict incarnations opened", world.opened.len()));
    }
    let kept = is_whole(world).map_err(|what| format!("not whole: {what}"))?;
    let held =
        world.rafts.iter().flatten().map(|raft| raft.applied().commands).max_by_key(Vec::len);
    let held: BTreeSet<u64> = held.unwrap_or_default().into_iter().collect();
    for (incarnation, commands) in &world.committed {
        let reported = world.merged.get(incarnation).copied().unwrap_or_default() as usize;
        if *incarnation != kept && commands.len() > reported && !world.lost.contains(incarnation) {
            return Err(format!("{incarnation}: {} commands, {reported} reported", commands.len()));
        }
        if *incarnation == kept && commands.iter().any(|command| !held.contains(command)) {
            return Err(format!("{incarnation}: a committed command is gone"));
        }
    }
    let healed = world.healed_at.ok_or("it never healed")?;
    Ok(healed.duration_since(world.faults_ended()))
}
