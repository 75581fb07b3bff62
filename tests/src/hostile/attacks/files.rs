//! What somebody does who may write to the local directory.

use std::{collections::VecDeque, fs, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use tokio::time::sleep;

use super::Aim;
use crate::hostile::HostileFiles;

/// How many of the last rounds are left lying: the node looks at what is new a moment later.
const LEFT: usize = 20;
const PAUSE: Duration = Duration::from_millis(30);
/// What is in the file that links lead to.
const SECRET: &str = "mine";

/// The directory of the attacked node's network: the only one in its base directory.
fn directory(aim: &Aim<'_>) -> anyhow::Result<PathBuf> {
    let base = aim.victim.directory.as_ref().context("the node has a local directory")?;
    Ok(fs::read_dir(base)?.next().context("the node has made its directory")??.path())
}

/// Plants ever new files, and sees to it that none of them was written through.
pub(super) async fn local_files(aim: &Aim<'_>) -> u64 {
    let Ok(outside) = tempfile::tempdir() else { return 0 };
    let secret = outside.path().join("secret");
    if fs::write(&secret, SECRET).is_err() {
        return 0;
    }
    let mut planted = VecDeque::new();
    let mut count = 0;
    let mut write = async |_| {
        ensure!(fs::read_to_string(&secret)? == SECRET, "somebody wrote through a link");
        let files = HostileFiles::plant(&directory(aim)?, &aim.victim.network, &secret)?;
        count += files.count() as u64;
        planted.push_back(files);
        if planted.len() > LEFT {
            planted.pop_front();
        }
        sleep(PAUSE).await;
        Ok(())
    };
    aim.again(&mut write).await;
    // Nothing counts as tried if a link was followed.
    let untouched = fs::read_to_string(&secret).is_ok_and(|text| text == SECRET);
    if untouched { count } else { 0 }
}
