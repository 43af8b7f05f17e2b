//! The reference pages of the dialects, from TableGen.

/// The dialects' pages, as mlir-tblgen writes them: title and Markdown.
const PAGES: [(&str, &str); 3] = [
    ("graph", include_str!(concat!(env!("OUT_DIR"), "/graph_reference.md"))),
    ("te", include_str!(concat!(env!("OUT_DIR"), "/te_reference.md"))),
    ("loop", include_str!(concat!(env!("OUT_DIR"), "/loop_reference.md"))),
];

/// Lines that say nothing to a reader.
const LEFT_OUT: [&str; 4] = ["<!--", "[TOC]", "Interfaces: ", "Effects: "];

/// The reference of all dialects in Markdown: every operation, attribute and type with its syntax, semantics and an
/// example.
#[must_use]
pub fn dialect_reference() -> String {
    let mut reference = String::from(
        "# The dialects\n\nGenerated from the TableGen files under `dialects/mlir`; `cargo xtask bless` renews it.\n\n",
    );
    for (_, page) in PAGES {
        let lines = page.lines().filter(|line| !LEFT_OUT.iter().any(|start| line.starts_with(start)));
        let mut blank = true;
        for line in lines {
            let line = line.trim_end();
            // Headings go one level down, below the page's own.
            let heading = if line.starts_with('#') { "#" } else { "" };
            if !(blank && line.is_empty()) {
                reference.extend([heading, line, "\n"]);
            }
            blank = line.is_empty();
        }
        reference.push('\n');
    }
    reference.truncate(reference.trim_end().len());
    reference.push('\n');
    reference
}

/// The dialects' names in the order of the levels.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    PAGES.into_iter().map(|(name, _)| name)
}
