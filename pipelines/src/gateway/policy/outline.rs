//! What policies define and call, for mistakes that the engine does not find by itself.
//!
//! **Functions that call themselves**, perhaps through others. The language forbids it; the engine looks for it among rules but not
//! among functions, where it would call until the stack of its thread is used up, which ends the process. So such policies are
//! refused before anything is asked of them. **Rules that build on each other** in a long chain, which use the stack up as well. **Data in
//! the place of a rule**, which the engine would take for what the rule says.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use serde_json::{Map, Value};

/// What is defined, by whole names.
#[derive(Default)]
pub(super) struct Outline {
    functions: Functions,
    /// Rules of all kinds, functions among them.
    rules: BTreeMap<String, Rule>,
}

/// The rules of a name.
#[derive(Default)]
struct Rule {
    /// Where the first one is: `FILE:LINE:COL`.
    place: String,
    /// What they name, which may be rules.
    names: BTreeSet<String>,
}

/// Rules that may build on each other, the one on the next: some hundreds use up the stack of a worker.
const DEEPEST: usize = 100;

/// Functions by their whole names, `data.PACKAGE.NAME`.
type Functions = BTreeMap<String, Function>;

/// What the rules of a function call.
type Function = BTreeSet<String>;

/// How names of a file are found.
struct Scope {
    file: String,
    package: String,
    /// What names stand for, by imports.
    imports: BTreeMap<String, String>,
}

impl Outline {
    /// Of all policies that an engine has.
    ///
    /// # Errors
    ///
    /// If the engine cannot tell what it has parsed.
    pub(super) fn of(engine: &Engine) -> Result<Self, String> {
        let text = engine
            .get_ast_as_json()
            .map_err(|error| error.to_string())?;
        let parsed: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let mut outline = Self::default();
        for policy in parsed.as_array().into_iter().flatten() {
            let scope = Scope::of(policy);
            for rule in policy["ast"]["rules"].as_array().into_iter().flatten() {
                outline.add(rule, &scope);
            }
        }
        Ok(outline)
    }

    fn add(&mut self, rule: &Value, scope: &Scope) {
        let kind = rule.get("Spec").map(|spec| &spec["head"]);
        let Some((kind, head)) = kind
            .unwrap_or(rule)
            .as_object()
            .and_then(|kind| kind.iter().next())
        else {
            return;
        };
        let Some(name) = path(&head["refr"]) else {
            return;
        };
        let (whole, span) = (scope.whole(&name), &head["span"]);
        if kind == "Func" {
            let calls = self.functions.entry(whole.clone()).or_default();
            find_calls(rule, scope, calls);
        }
        let first = self.rules.entry(whole).or_default();
        if first.place.is_empty() {
            first.place = format!("{}:{}:{}", scope.file, span["line"], span["col"]);
        }
        find_names(rule, scope, &mut first.names);
    }

    /// The first function that calls itself: where it is, and its way back to itself.
    pub(super) fn recursion(&self) -> Option<String> {
        self.functions.keys().find_map(|name| {
            let way = way_back(name, &self.functions)?.join(" -> ");
            let place = &self.rules[name].place;
            Some(format!(
                "{place}: the function calls itself: {way}\nhelp: policies cannot recurse; walk a list with `some` or a comprehension"
            ))
        })
    }

    /// The first rule under which too many others lie, and where it is.
    pub(super) fn too_deep(&self) -> Option<String> {
        let mut known = BTreeMap::new();
        let deep = self.rules.iter().find(|(name, _)| {
            let depth = self.depth(name, &mut known, 0);
            depth > DEEPEST
        });
        let (name, rule) = deep?;
        Some(format!(
            "{}: `{name}` builds on more than {DEEPEST} rules, the one on the next\nhelp: look values up in `data.json` instead",
            rule.place
        ))
    }

    /// How many rules lie below one, at most one more than may. A way that comes back to a rule on it ends there: names of variables
    /// may be those of rules.
    fn depth<'r>(
        &'r self,
        name: &'r str,
        known: &mut BTreeMap<&'r str, usize>,
        above: usize,
    ) -> usize {
        if let Some(depth) = known.get(name) {
            return *depth;
        }
        if above > DEEPEST {
            return 0;
        }
        known.insert(name, 0);
        let names = self.rules[name].names.iter();
        let below = names.filter_map(|name| self.rule_of(name));
        // It names itself in its head.
        let below = below.filter(|below| *below != name);
        let depth = below
            .map(|name| 1 + self.depth(name, known, above + 1))
            .max();
        let depth = depth.unwrap_or(0);
        known.insert(name, depth);
        depth
    }

    /// The rule that a name such as `data.gateway.roles.admin` begins with.
    fn rule_of(&self, name: &str) -> Option<&str> {
        let ends = name.match_indices('.').map(|(at, _)| at);
        let parts = ends.chain([name.len()]).map(|end| &name[..end]);
        parts
            .filter_map(|part| self.rules.get_key_value(part))
            .map(|(name, _)| name.as_str())
            .next()
    }

    /// The first rule that data would take the place of: its name, and where it is.
    pub(super) fn hidden_by(&self, data: &Map<String, Value>) -> Option<(&str, &str)> {
        let hidden = self.rules.iter().find(|(name, _)| {
            let mut parts = name.split('.').skip(1);
            let first = parts.next().and_then(|first| data.get(first));
            parts
                .try_fold(first, |at, part| at.map(|at| at.get(part)))
                .flatten()
                .is_some()
        });
        hidden.map(|(name, rule)| (name.as_str(), rule.place.as_str()))
    }
}

impl Scope {
    fn of(policy: &Value) -> Self {
        let ast = &policy["ast"];
        let package = path(&ast["package"]["refr"]).unwrap_or_default();
        let contents = policy["source"]["contents"].as_str().unwrap_or_default();
        let imports = ast["imports"].as_array().into_iter().flatten();
        let imports = imports.filter_map(|import| {
            let whole = path(&import["refr"])?;
            let last = whole.rsplit('.').next().unwrap_or_default();
            let alias = text(&import["as"], contents).unwrap_or(last);
            Some((alias.to_owned(), whole))
        });
        Self {
            file: policy["source"]["file"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            package,
            imports: imports.collect(),
        }
    }

    /// The whole name of what a file calls so.
    fn whole(&self, name: &str) -> String {
        let (first, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
        match self.imports.get(first) {
            _ if first == "data" => name.to_owned(),
            Some(import) => format!("{import}{rest}"),
            None => format!("data.{}.{name}", self.package),
        }
    }
}

/// The text of a span.
fn text<'a>(span: &Value, contents: &'a str) -> Option<&'a str> {
    let [start, end] = ["start", "end"].map(|edge| span[edge].as_u64());
    contents.get(start? as usize..end? as usize)
}

/// What is called anywhere in a part of a policy, or put in the place of what is.
fn find_calls(part: &Value, scope: &Scope, calls: &mut BTreeSet<String>) {
    match part {
        Value::Array(parts) => {
            for part in parts {
                find_calls(part, scope, calls);
            }
        }
        Value::Object(fields) => {
            let called = fields.get("Call").map(|call| &call["fcn"]);
            let replacing = fields.get("as").filter(|_| fields.contains_key("refr"));
            for name in called.into_iter().chain(replacing).filter_map(path) {
                calls.insert(scope.whole(&name));
            }
            for part in fields.values() {
                find_calls(part, scope, calls);
            }
        }
        _ => {}
    }
}

/// Whatever has a name in a part of a policy.
fn find_names(part: &Value, scope: &Scope, names: &mut BTreeSet<String>) {
    if let Some(name) = path(part) {
        names.insert(scope.whole(&name));
    }
    let parts: &mut dyn Iterator<Item = &Value> = match part {
        Value::Array(parts) => &mut parts.iter(),
        Value::Object(fields) => &mut fields.values(),
        _ => return,
    };
    for part in parts {
        find_names(part, scope, names);
    }
}

/// The name that an expression is, such as `data.lib.f`, if it is one.
fn path(expression: &Value) -> Option<String> {
    let (kind, fields) = expression.as_object()?.iter().next()?;
    let inner = || path(&fields["refr"]);
    match kind.as_str() {
        "Var" => Some(fields["value"].as_str()?.to_owned()),
        "RefDot" => Some(format!("{}.{}", inner()?, fields["field"][1].as_str()?)),
        "RefBrack" => {
            let index = fields["index"]["String"]["value"].as_str()?;
            Some(format!("{}.{index}", inner()?))
        }
        _ => None,
    }
}

/// The shortest way from a function to itself, both ends included.
fn way_back<'a>(name: &'a str, functions: &'a Functions) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![name]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let Some(function) = way.last().and_then(|last| functions.get(*last)) else {
                continue;
            };
            for next in function {
                let whole = [&way[..], &[next]].concat();
                if next == name {
                    return Some(whole);
                }
                if seen.insert(next) {
                    longer.push(whole);
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policies: &[&str], expect: Option<&str>) {
        let mut engine = Engine::new();
        for (at, policy) in policies.iter().enumerate() {
            let text = format!("package gateway\n\n{policy}\n");
            let added = engine.add_policy(format!("{at}.rego"), text);
            added.expect("it is right but for that");
        }
        let found = Outline::of(&engine).expect("it is parsed").recursion();
        let first = found.as_deref().and_then(|found| found.lines().next());
        assert_eq!(first, expect, "{policies:?}");
    }

    #[test]
    fn functions_that_call_themselves_are_found_with_their_place_and_their_way() {
        check(&["f(x) := x + 1\n\ng(x) := f(f(x))"], None);
        check(
            &["f(x) := f(x + 1)"],
            Some("0.rego:3:1: the function calls itself: data.gateway.f -> data.gateway.f"),
        );
        check(
            &["f(x) := y if {\n    y := [z | some n in [1]; z := count([data.gateway.f(n)])]\n}"],
            Some("0.rego:3:1: the function calls itself: data.gateway.f -> data.gateway.f"),
        );
        check(
            &[
                "f(x) := g(x)",
                "g(x) := 1 if x == 0\n\ng(x) := f(x - 1) if x > 0",
            ],
            Some(
                "0.rego:3:1: the function calls itself: data.gateway.f -> data.gateway.g -> data.gateway.f",
            ),
        );
        check(
            &["import data.gateway as here\n\nf(x) := here.f(x)"],
            Some("0.rego:5:1: the function calls itself: data.gateway.f -> data.gateway.f"),
        );
        check(
            &["f(x) := y if {\n    y := g(x) with g as f\n}\n\ng(x) := x"],
            Some("0.rego:3:1: the function calls itself: data.gateway.f -> data.gateway.f"),
        );
        // Not a call of the function: an argument of that name, and a rule.
        check(&["f(f1) := f1\n\nr := f(1)\n\ns := r"], None);
    }

    #[test]
    fn rules_in_a_long_chain_are_found_and_names_of_variables_are_none() {
        let check = |policy: &str, is_deep| {
            let mut engine = Engine::new();
            let text = format!("package gateway\n\n{policy}\n");
            let added = engine.add_policy("a.rego".to_owned(), text);
            added.expect("it is right but for that");
            let found = Outline::of(&engine).expect("it is parsed").too_deep();
            assert_eq!(found.is_some(), is_deep, "{found:?}");
        };
        let chain = |length, rule: fn(usize) -> String| {
            let rules: Vec<_> = (0..length).map(rule).collect();
            rules.join("\n")
        };
        let rules = |n| format!("r{} := r{n}", n + 1);
        let functions = |n| format!("f{}(x) := f{n}(x)", n + 1);
        check(&format!("r0 := 1\n{}", chain(DEEPEST, rules)), false);
        check(&format!("r0 := 1\n{}", chain(DEEPEST + 1, rules)), true);
        check(&format!("r0 := 1\n{}", chain(10_000, rules)), true);
        check(&format!("f0(x) := 1\n{}", chain(10_000, functions)), true);
        check(
            "r := s if {\n    s := 1\n}\n\ns := r if {\n    r := 1\n}",
            false,
        );
    }

    #[test]
    fn data_in_the_place_of_a_rule_is_found() {
        let mut engine = Engine::new();
        let policy = "package gateway.inner\n\ndefault allow := false\n\nallow if input.a\n\nset contains 1\n";
        let added = engine.add_policy("a.rego".to_owned(), policy.to_owned());
        added.expect("it is right");
        let outline = Outline::of(&engine).expect("it is parsed");
        let check = |data: Value, expect: Option<&str>| {
            let Value::Object(data) = data else {
                panic!("{data}");
            };
            let found = outline
                .hidden_by(&data)
                .map(|(name, place)| format!("{place} {name}"));
            assert_eq!(found.as_deref(), expect, "{data:?}");
        };
        check(serde_json::json!({}), None);
        check(
            serde_json::json!({"gateway": {"inner": {"roles": []}}}),
            None,
        );
        check(serde_json::json!({"gateway": 1}), None);
        check(
            serde_json::json!({"gateway": {"inner": {"allow": true}}}),
            Some("a.rego:3:1 data.gateway.inner.allow"),
        );
        check(
            serde_json::json!({"gateway": {"inner": {"set": []}}}),
            Some("a.rego:7:1 data.gateway.inner.set"),
        );
    }
}
