//! The guide's table of limits says what the code says.

use std::{fs, path::Path};

/// White space as rustfmt may have broken it is no difference.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_limit_in_the_guide_is_the_one_in_the_code() {
    let mosaik = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mosaik");
    let guide = fs::read_to_string(mosaik.join("docs/limits.md")).unwrap();
    let mut checked = 0;
    for row in guide.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`: `")) {
        let place = row.split(" | ").nth(2).expect("four columns");
        let (file, code) = place.split_once("`: `").expect("`file`: `code`");
        let source = mosaik.join("src").join(file.trim_start_matches('`'));
        let source = fs::read_to_string(&source).unwrap_or_else(|e| panic!("{file}: {e}"));
        let code = plain(code.trim_end_matches('`'));
        assert!(plain(&source).contains(&code), "{file} does not say `{code}`; row: {row}");
        checked += 1;
    }
    assert!(checked > 20, "the table has been found");
}
