//! What is logged when a group is joined that can forget what it agreed upon.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;

/// Counts what says that a group is in memory.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && format!("{value:?}").contains("in memory") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_strict_group_of_several_in_memory_is_warned_of_once() {
    let warnings = Warnings::default();
    let _scope = tracing::subscriber::set_default(warnings.clone());
    let cases = [(Quorum::Strict(3), 3, 3), (Quorum::Strict(1), 1, 0), (Quorum::Elastic, 2, 0)];
    for (quorum, members, expected) in cases {
        warnings.0.store(0, Ordering::Relaxed);
        let nodes = nodes(members).await;
        let join = |node: &Network| {
            let builder = node.groups().with_key(GroupKey::from_secret("key"));
            builder.with_state_machine(Sum::default()).with_quorum(quorum).join()
        };
        let groups: Vec<_> = nodes.iter().map(join).collect();
        let again = join(&nodes[0]);
        for group in &groups {
            within(60, group.when().online()).await;
        }
        assert_eq!(warnings.0.load(Ordering::Relaxed), expected, "{quorum:?}");
        drop((groups, again));
    }
}
