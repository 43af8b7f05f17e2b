//! Writes the page of all rewrite rules: part of `cargo xtask docs`.
//!
//! `rewrites_page PAGE`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected the path of a page")?;
    Ok(std::fs::write(path, mlcc_laboratory::reference::page()?)?)
}
