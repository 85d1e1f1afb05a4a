//! Hostile chat templates: each ends with an error that states why.
#![cfg(feature = "bpe")]
#![allow(clippy::unwrap_used)]

use tealight_text::{Conversation, Message, TextError};

/// The maximum length of a template that is read, in bytes.
const LONGEST: usize = 1 << 16;

fn render(template: &str) -> Result<String, String> {
    let messages = vec![Message { role: "user".into(), content: "hello".into() }];
    let conversation = Conversation { template: template.into(), messages, begin: "<s>".into(), end: "</s>".into() };
    conversation.render().map_err(|error| match error {
        TextError::Template(what) => what,
        error => panic!("{error}"),
    })
}

/// Returns `start`, as many of `link` as fit in the longest template, and `end`.
fn chain(start: &str, link: &str, end: &str) -> String {
    let count = (LONGEST - start.len() - end.len()) / link.len();
    format!("{start}{}{end}", link.repeat(count))
}

#[test]
fn the_deepest_chains_of_every_kind_terminate() {
    for (start, link, end) in [
        ("{{", "-", "1}}"),
        ("{{", "not ", "1}}"),
        ("{{", "(", ")}}"),
        ("{{", "[", "]}}"),
        ("{{", "{1:", "}}"),
        ("{{1", "|e", "}}"),
        ("{{1", "|string", "}}"),
        ("{{1", " is e", "}}"),
        ("{{1", " is not string", "}}"),
        ("{{a", ".a", "}}"),
        ("{{a", "[0]", "}}"),
        ("{{a", "[a", "}}"),
        ("{{a", "()", "}}"),
        ("{{a", "(a", "}}"),
        ("{{1", "~1", "}}"),
        ("{{1", "+1", "}}"),
        ("{{1", "*1", "}}"),
        ("{{1", "**1", "}}"),
        ("{{1", "<1", "}}"),
        ("{{1", " in 1", "}}"),
        ("{{1", " or 0", "}}"),
        ("{{1", " and 1", "}}"),
        ("{{1", " if 1", "}}"),
        ("{{1", " if 0 else 1", "}}"),
        ("{%set ", "(", "=1%}"),
        ("{%set a", ".a", "=1%}"),
        ("{%for ", "(", " in a%}{%endfor%}"),
        ("{%set a", "|e", "%}{%endset%}"),
        ("{%filter e", "|e", "%}{%endfilter%}"),
        ("", "{%if 1%}", ""),
        ("{%if 0%}", "{%elif 0%}", "{%endif%}"),
        ("", "{%for a in [1]%}", ""),
        ("", "{%with%}", ""),
        ("", "{%set a%}", ""),
        ("", "{%filter e%}", ""),
        ("", "{%macro a()%}", ""),
        ("", "{%call a()%}", ""),
        ("", "{{1}}", ""),
        ("", "{{", ""),
        ("", "{%", ""),
        ("", "{#", ""),
    ] {
        // It ends with a text or an error, not by a signal.
        let _ = render(&chain(start, link, end));
    }
    assert!(render(&chain("{{", "-", "1}}")).is_ok());
    assert_eq!(render(&chain("{{1", "|e", "}}")).as_deref(), Ok("1"));
}

#[test]
fn a_template_that_is_too_long_is_refused_with_the_limit() {
    assert!(render(&"x".repeat(LONGEST)).is_ok());
    let refused = render(&"x".repeat(LONGEST + 1)).unwrap_err();
    assert!(refused.contains("65537 bytes; at most 65536"), "{refused}");
}

#[test]
fn a_template_that_writes_too_much_is_refused() {
    let refused = render(&format!("{{% for i in range(1000) %}}{}{{% endfor %}}", "x".repeat(10_000))).unwrap_err();
    assert!(refused.contains("writes more than"), "{refused}");
}

#[test]
fn rejects_recursive_and_endless_templates() {
    for (template, why) in [
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursion"),
        ("{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}", "fuel"),
    ] {
        let refused = render(template).unwrap_err();
        assert!(refused.contains(why), "{template}: {refused}");
    }
}

#[test]
fn values_nested_as_deep_as_allowed_terminate() {
    for (template, end) in [
        ("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}", "ok"),
        ("{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {1: ns.x} %}{% endfor %}", "ok"),
        ("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", ""),
        ("{% set ns = namespace() %}{% set ns.x = ns %}{{ 1 }}", "ok"),
    ] {
        let rendered = render(template);
        assert!(end.is_empty() || rendered.is_ok(), "{template}: {rendered:?}");
    }
}

/// The renderer's library subtracts beyond zero, which panics where sums are checked. (Its version 3 does not, but takes
/// quadratic time for deep chains.)
#[test]
fn a_panic_of_the_renderer_is_an_error() {
    let rendered = render("{{ 'abcd'[:5:-6] }}");
    let expected = if cfg!(debug_assertions) { Err("panicked") } else { Ok("") };
    match (&rendered, expected) {
        (Ok(text), Ok(expected)) => assert_eq!(text, expected),
        (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
        _ => panic!("{rendered:?}"),
    }
}
