//! Texts that are refused before MLIR sees them, and texts that are not.

use super::check;

/// Refused at `line:column`, where `name` is used and not defined yet.
fn refused(text: &str, place: &str, name: &str) {
    let error = check(text, "t").expect_err(text);
    assert_eq!(error.message, format!("t:{place}: '%{name}' is not defined in front of this use"), "{text}");
}

fn accepted(text: &str) {
    check(text, "t").unwrap_or_else(|error| panic!("{error}\n{text}"));
}

#[test]
fn a_value_is_defined_behind_its_operation() {
    accepted("%a = te.x\n%b:2, %c = te.y %a loc(\"%z\")\nte.z %a, %b#1, %c // %d");
    refused("te.x %a\n%a = te.y", "1:6", "a");
    refused("%a = te.x %a", "1:11", "a");
    refused("%a = \"te.x\"(%a) : () -> ()", "1:13", "a");
    refused("%a = te.x\n  %b = te.y %a,\n %b", "3:2", "b");
    refused("%a = te.x {b = 1} %a", "1:19", "a");
    accepted("%a = te.x {b = 1, te.c = \"%a\"} : tensor<4xf32, #graph.dims<i.o>>\n\"te.y\"(%a) : () -> ()");
}

#[test]
fn a_value_is_defined_within_its_region() {
    let with = |then: &str, otherwise: &str, behind: &str| {
        format!("%c = te.c\n%y = graph.if %c then {{{then}}} else {{{otherwise}}} : () -> ()\n{behind}")
    };
    accepted(&with("%a = te.a %c\nte.b %a", "%a = te.d\nte.e %a", "te.f %y, %c"));
    refused(&with("%a = te.a", "te.e %a", ""), "2:46", "a");
    refused(&with("%a = te.a", "", "te.f %a"), "3:6", "a");
    refused(&with("te.b %a", "%a = te.a", ""), "2:29", "a");
    // The operation's own results are defined where it ends.
    refused(&with("te.b %y", "", ""), "2:29", "y");
    refused(&with("", "te.b %y", ""), "2:37", "y");
    refused("%c = te.c\n%y = \"graph.if\"(%c) ({te.a}, {te.b %y}) : () -> ()", "2:36", "y");
    // The use stands before the region, as in a text found by fuzzing.
    refused("te.x %a\nte.y {\n%a = te.z\n}", "1:6", "a");
}

#[test]
fn arguments_are_defined_in_their_region() {
    accepted("\"te.x\"() ({\n^bb0(%a: tensor<4xf32> loc(\"a\"), %b: i64):\nte.y %a, %b\n})");
    refused("\"te.x\"() ({\n^bb0(%a: i64):\nte.y %a\n})\nte.z %a", "5:6", "a");
    // A successor's operands are uses.
    refused("te.x ^bb1(%a : i64)", "1:11", "a");
    refused("te.x [^bb1(%a : i64), ^bb2] : ()", "1:12", "a");
    accepted("func.func @f(%a: i64 {te.x = 1} loc(\"a\"), %b: i64) -> (i64, i64) {\nte.y %a, %b\n}");
    accepted(
        "func.func private @\"f g\"(%a: i64) -> tensor<?x3xf32, #graph.dims<n, 3>> attributes {te.x = 1} {\nte.y %a\n}",
    );
    refused("func.func @f(%a: i64) attributes {te.x = %a} {\n}", "1:42", "a");
    refused("func.func @f(%a: i64) {\n}\nfunc.func @g() {\nte.y %a\n}", "4:6", "a");
    // A function without a body has no place for its arguments.
    refused("func.func private @f(%a: i64)\nmodule {\nte.y %a\n}", "3:6", "a");
    refused("func.func private @f(%a: i64) -> i64\nte.x {\nte.y %a\n}", "3:6", "a");
}

#[test]
fn signs_of_comparison_are_no_brackets() {
    let guarded = "te.x {\nte.yield at [] if \"%b * 6\" < n, \"%t\" < 4\n}\n".repeat(1000);
    accepted(&format!("{guarded}%a = te.y\nte.z %a"));
}

#[test]
fn whatever_is_not_mlir_ends() {
    for text in [
        "%",
        "%a",
        "%a =",
        "%a, ",
        "%a:",
        "^a(",
        "^a(%b",
        "func.func @f(",
        "func.func @f(%a: i64) -> ",
        "}",
        "(",
    ] {
        let _ = check(text, "t");
    }
    accepted("} te.x %a");
    // These would take too long if the scan looked ahead again and again.
    for piece in
        ["^a(<)", "^a(]", "^a[", "{ func.func @f() -> x< }", "func.func @f(<) ", "te.x {", "%a, %a = te.x "]
    {
        let _ = check(&piece.repeat(200_000), "t");
    }
    let list = "%a, ".repeat(1_000_000);
    accepted(&format!("%a = te.x\nte.y {list}%a"));
}
