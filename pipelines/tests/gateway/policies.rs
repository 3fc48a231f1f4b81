//! What the policies that come with the gateway say.

use std::{path::Path, time::Duration};

use pipewright_pipelines::gateway::{
    clock::Time,
    policy::{Files, PolicySet, WorkerEngine},
    request::Request,
    types::{Decision, Why},
};

fn files(name: &str) -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/gateway/policies")
        .join(name);
    Files::read(&folder).expect("it can be read")
}

fn decide(name: &str, at: &str, request: serde_json::Value) -> Result<Decision, Why> {
    let set = PolicySet::compile(&files(name), None).expect("it is right");
    let request: Request = serde_json::from_value(request).expect("a request");
    let time: Time = at.parse().expect("a time");
    WorkerEngine::default().decide(&set, &request, time, Duration::from_secs(30))
}

#[test]
fn a_role_may_what_it_may_and_nothing_else() {
    let check = |subject: &str, action: &str, resource: &str, expect: Option<&str>| {
        let request = serde_json::json!({"tenant": "t", "subject": subject, "action": action, "resource": resource});
        let found = decide("rbac", "2026-01-05T10:00:00Z", request).expect("it decides");
        let expect = match expect {
            Some(role) => (true, format!("role `{role}` may")),
            None => (false, "no role of the subject may do this".to_owned()),
        };
        assert_eq!(
            (found.allow, found.reason.to_string()),
            expect,
            "{subject} {action} {resource}"
        );
        assert_eq!(found.valid, None);
    };
    check("ann", "delete", "server:7", Some("admin"));
    check("bob", "read", "doc:1", Some("editor"));
    check("bob", "write", "doc:1", Some("editor"));
    check("bob", "read", "report:1", Some("viewer"));
    check("bob", "write", "report:1", None);
    check("eve", "read", "doc:1", Some("viewer"));
    check("eve", "write", "doc:1", None);
    check("eve", "read", "document:1", None);
    check("mallory", "read", "doc:1", None);
}

#[test]
fn tenants_inherit_are_suspended_and_have_hours() {
    let monday = "2026-01-05T10:00:20Z";
    let check = |at: &str,
                 tenant: &str,
                 who: &str,
                 does: &str,
                 to: &str,
                 expect: (bool, &str),
                 valid: Option<u64>| {
        let request =
            serde_json::json!({"tenant": tenant, "subject": who, "action": does, "resource": to});
        let found = decide("tenants", at, request).expect("it decides");
        assert_eq!(
            (found.allow, &*found.reason),
            expect,
            "{at} {tenant} {who} {does} {to}"
        );
        assert_eq!(found.valid, valid.map(Duration::from_secs));
    };
    let no = (false, "no role of the subject may do this");
    check(
        monday,
        "acme",
        "ann",
        "write",
        "doc:1",
        (true, "role `editor` of tenant `acme` may"),
        None,
    );
    check(monday, "acme", "ann", "write", "report:1", no, None);
    check(
        monday,
        "acme",
        "bob",
        "read",
        "report:1",
        (true, "role `viewer` of tenant `acme` may"),
        None,
    );
    check(
        monday,
        "acme",
        "root",
        "delete",
        "doc:1",
        (true, "role `admin` of tenant `group` may"),
        None,
    );
    check(
        monday,
        "acme-labs",
        "eve",
        "read",
        "doc:1",
        (true, "role `viewer` of tenant `acme-labs` may"),
        None,
    );
    check(
        monday,
        "acme-labs",
        "bob",
        "read",
        "doc:1",
        (true, "role `viewer` of tenant `acme` may"),
        None,
    );
    check(monday, "group", "ann", "read", "doc:1", no, None);
    check(monday, "group", "eve", "read", "doc:1", no, None);
    check(
        monday,
        "closed",
        "ann",
        "read",
        "doc:1",
        (false, "tenant `closed` is suspended"),
        None,
    );
    check(
        monday,
        "nobody",
        "ann",
        "read",
        "doc:1",
        (false, "tenant `nobody` is not known"),
        None,
    );
    let may = (true, "role `clerk` of tenant `acme` may at this time");
    let later = (false, "a role of the subject may do this at another time");
    let pays =
        |at, expect, valid| check(at, "acme", "bob", "pay", "invoice:1", expect, Some(valid));
    pays(monday, may, 40);
    pays("2026-01-05T08:00:00Z", may, 60);
    pays("2026-01-05T07:59:59Z", later, 1);
    pays("2026-01-09T17:59:59Z", may, 1);
    pays("2026-01-09T18:00:00Z", later, 60);
    pays("2026-01-10T10:00:00Z", later, 60);
}

#[test]
fn of_each_rule_set_every_rule_can_be_the_one() {
    for rules in [1_u64, 5, 10, 20] {
        let check = |rule: u64, level: u64, expect: Option<u64>| {
            let request = serde_json::json!({
                "tenant": "t", "subject": "s", "action": format!("action-{rule}"),
                "resource": format!("kind-{rule}:x"), "context": {"level": level},
            });
            let found = decide(&format!("rules/{rules}"), "2026-01-05T10:00:00Z", request);
            let found = found.expect("it decides");
            let expect = expect.map_or((false, "no rule fits".to_owned()), |rule| {
                (true, format!("rule {rule}"))
            });
            assert_eq!(
                (found.allow, found.reason.to_string()),
                expect,
                "rule {rule} of {rules}"
            );
        };
        for rule in 1..=rules {
            check(rule, 9, Some(rule));
        }
        check(rules, rules % 5, Some(rules));
        if rules % 5 > 0 {
            check(rules, rules % 5 - 1, None);
        }
        check(rules + 1, 9, None);
    }
}

#[test]
fn wrong_policies_are_refused_with_their_place() {
    let good = "package gateway\n\ndecision := {\"allow\": true}\n";
    let check = |policy: &str, data: Option<&str>, expect: &str| {
        let files = Files {
            policies: vec![("a.rego".to_owned(), policy.to_owned())],
            data: data.map(|data| ("data.json".to_owned(), data.to_owned())),
        };
        let error = PolicySet::compile(&files, None)
            .expect_err(expect)
            .to_string();
        assert!(error.contains(expect), "{error}\nhas not: {expect}");
    };
    check(
        "package gateway\n\ndecision := {\"allow\": tru\n",
        None,
        "a.rego:",
    );
    check(
        "package gateway\n\ndecision := {\"allow\": x}\n",
        None,
        "a.rego:3:23: var x is unsafe",
    );
    check("package gateway\n\nallow if input.a ==\n", None, "a.rego:");
    check("decision := true\n", None, "a.rego:1:");
    check("", None, "a.rego:");
    check(
        "package gateway\n\nallow := true\n",
        None,
        "no policy has the rule `decision`",
    );
    check(
        "package other\n\ndecision := {\"allow\": true}\n",
        None,
        "no policy has the rule `decision`",
    );
    check(
        "package gateway\n\nf(x) := x\ndecision := {\"allow\": f(1, 2)}\n",
        None,
        "a.rego:4:",
    );
    check(
        "package gateway\n\ndecision := {\"allow\": nothing.like(1)}\n",
        None,
        "a.rego:3:",
    );
    check(
        "package gateway\n\na := b\nb := a\ndecision := {\"allow\": a}\n",
        None,
        "a.rego:",
    );
    check(
        "package gateway\n\nf(x) := f(x + 1) if x > 0\n\ndecision := {\"allow\": f(0)}\n",
        None,
        "a.rego:3:1: the function calls itself",
    );
    check(good, Some("{"), "data.json: is not JSON: EOF");
    check(
        good,
        Some("{\"gateway\": {\"decision\": {\"allow\": true}}}"),
        "data.json: `data.gateway.decision` is a rule, at a.rego:3:1",
    );
    check(
        good,
        Some("{\"classes\": {\"gold\": {\"burst\": 5}}}"),
        "data.json:1:32: `classes.gold.burst` stands without a `rate_per_s`",
    );
    check(good, Some("[]"), "data.json: is not an object");
    check(
        good,
        Some("{\"tenants\": {\"t\": {\"class\": \"gold\"}}}"),
        "data.json:1:29: `tenants.t.class` is `\"gold\"`, which is not among `classes`",
    );
    let files = Files {
        policies: vec![("a.rego".to_owned(), good.to_owned())],
        data: None,
    };
    assert!(PolicySet::compile(&files, None).is_ok());
}
