//! What a machine at work promises to those who read it.

use super::*;
use crate::groups::{
    index::{Cursor, Index, Term},
    state::{Answer, Content, EncodedRun, Item, RunBuilder, SessionId},
    tests::sum::{PANIC, Sum},
};

fn run(calls: &[&[u64]]) -> EncodedRun {
    let mut run = RunBuilder::new(SessionId(1), 1, 1);
    for call in calls {
        let commands: Vec<Bytes> = call.iter().map(|n| encode_state(n).unwrap()).collect();
        run.push_many(&commands);
    }
    run.finish()
}

fn apply(
    hosted: &mut Hosted<Sum>,
    ctx: &mut ApplyContext,
    run: EncodedRun,
) -> (Vec<(Index, Answer)>, Result<(), Panicked>) {
    let item = Item::of_runs(0, &[run]);
    let Some(Content::Commands(mut runs)) = item.content() else { panic!("commands") };
    let calls = runs.next().unwrap().calls;
    let mut answers = Vec::new();
    let applied = hosted.apply(calls, ctx, &mut |index, answer| answers.push((index, answer)));
    (answers, applied)
}

fn context() -> ApplyContext {
    let mut ctx = ApplyContext::for_tests();
    ctx.begin(Cursor::zero(), Term(1), 1000, 0);
    ctx
}

#[test]
fn a_machine_is_applied_to_read_copied_and_restored() {
    let mut hosted = Hosted::new(Sum(0));
    let published = hosted.published();
    let mut ctx = context();
    let calls: Vec<&[u64]> = vec![&[1]; 200];
    let (answers, applied) = apply(&mut hosted, &mut ctx, run(&calls));
    assert_eq!(applied, Ok(()));
    assert_eq!((answers.len(), answers[199].0), (200, Index(200)));
    published.read(|sum, index| assert_eq!((sum.0, index), (200, Index(200))));
    // One copy, of the start value.
    assert_eq!(Sum::copies(), 1);

    let frozen = hosted.freeze();
    apply(&mut hosted, &mut ctx, run(&[&[1], &[2]])).1.unwrap();
    apply(&mut hosted, &mut ctx, run(&[&[1]])).1.unwrap();
    assert_eq!(Sum::copies(), 2);
    assert_eq!(frozen.encode().unwrap(), encode_state(&200_u64).unwrap());
    published.read(|sum, index| assert_eq!((sum.0, index), (204, Index(203))));
    assert_ne!(frozen.digest(), hosted.freeze().digest());

    hosted.restore(&frozen.encode().unwrap(), Index(200)).unwrap();
    published.read(|sum, index| assert_eq!((sum.0, index), (200, Index(200))));
    assert!(hosted.restore(&[0xff], Index(1)).is_err());
    assert_eq!(published.index(), 200);
    hosted.publish(Index(207));
    assert_eq!(published.index(), 207);
    hosted.reset();
    published.read(|sum, index| assert_eq!((sum.0, index), (0, Index(0))));
}

#[test]
fn commands_of_one_call_are_all_applied_or_none() {
    let mut hosted = Hosted::new(Sum(0));
    let mut ctx = context();
    let (answers, _) = apply(&mut hosted, &mut ctx, run(&[&[1, 2, 3]]));
    let [(Index(1), Answer::Applied(reply))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(reply.decode_many::<u64>(3).unwrap(), [1, 3, 6]);
    assert!(reply.decode_many::<u64>(2).is_err());

    let mut builder = RunBuilder::new(SessionId(1), 1, 1);
    builder.push_many(&[&[5_u8][..], &[0x80]]);
    builder.push(&[]);
    builder.push(&[7]);
    let (answers, _) = apply(&mut hosted, &mut ctx, builder.finish());
    assert_eq!(answers[0], (Index(4), Answer::Undecodable));
    assert_eq!(answers[1], (Index(6), Answer::Undecodable));
    assert!(matches!(answers[2], (Index(7), Answer::Applied(_))), "{answers:?}");
    hosted.published().read(|sum, index| assert_eq!((sum.0, index), (13, Index(7))));
}

#[test]
fn a_panic_names_the_command() {
    let mut hosted = Hosted::new(Sum(0));
    let mut ctx = context();
    let (answers, applied) = apply(&mut hosted, &mut ctx, run(&[&[1], &[2], &[PANIC], &[4]]));
    assert_eq!(applied, Err(Panicked { index: Index(3), message: "on purpose".into() }));
    assert_eq!(answers.len(), 2);
    let (_, applied) = apply(&mut hosted, &mut context(), run(&[&[1], &[2, PANIC], &[4]]));
    assert_eq!(applied.unwrap_err().index, 2);
}

#[test]
fn the_schema_is_that_of_commands_and_responses() {
    assert_eq!(Sum(0).schema(), schema_of::<(u64, u64)>().fingerprint());
    assert_ne!(Sum(0).schema(), NoOp.schema());
    assert_eq!(Sum(0).version(), 0);
    assert_eq!(Sum(0).leadership_preference(), LeadershipPreference::Normal);
}
