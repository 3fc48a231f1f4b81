//! In which lane a request goes: that of its tenant's class.

use std::sync::Arc;

use pipewright::{Caller, Priority};

use super::{env::Env, flow::gateway::Pipeline, policy::Policies, request::Incoming};

/// Callers of a run, one for each lane.
#[derive(Debug)]
pub struct Lanes {
    policies: Arc<Policies>,
    /// The most urgent first.
    callers: [Caller<Pipeline>; 4],
}

impl Lanes {
    /// Of a run with this environment.
    pub fn new(env: &Env, caller: &Caller<Pipeline>) -> Self {
        let lanes = [
            Priority::Critical,
            Priority::High,
            Priority::Normal,
            Priority::Low,
        ];
        Self {
            policies: Arc::clone(&env.policies),
            callers: lanes.map(|lane| caller.at(lane)),
        }
    }

    /// The one for a request.
    pub fn of(&self, incoming: &Incoming) -> &Caller<Pipeline> {
        let classes = &self.policies.current().classes;
        // What names no tenant is not worth hurrying for.
        let lane = incoming.tenant().map(|tenant| classes.priority(tenant));
        match lane {
            Some(Priority::Critical) => &self.callers[0],
            Some(Priority::High) => &self.callers[1],
            Some(Priority::Normal) => &self.callers[2],
            _ => &self.callers[3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{env::Config, flow::gateway};

    #[test]
    fn requests_go_in_the_lane_of_their_tenants_class() {
        let folder = tempfile::tempdir().expect("a folder");
        let classes = r#"{"now": {"priority": "critical"}, "soon": {"priority": "high"}, "later": {"priority": "low"}}"#;
        let tenants =
            r#"{"a": {"class": "now"}, "b": {"class": "soon"}, "c": {"class": "later"}, "d": {}}"#;
        let files = [
            (
                "policy.rego",
                "package gateway\n\ndecision := {\"allow\": true}\n".to_owned(),
            ),
            (
                "data.json",
                format!(r#"{{"classes": {classes}, "tenants": {tenants}}}"#),
            ),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("it can be written");
        }
        let config = Config {
            policy: Some(folder.path().to_owned()),
            ..Config::default()
        };
        let env = config.env().expect("it is right");
        let run = gateway::pipeline().workers(1).start(env.clone());
        let run = run.expect("it starts");
        let lanes = Lanes::new(&env, &run.caller());
        let check = |tenant: &str, expect: usize| {
            let text = format!(
                r#"{{"tenant": "{tenant}", "subject": "s", "action": "a", "resource": "r"}}"#
            );
            let of = lanes.of(&Incoming::read(text.as_bytes()));
            let found = lanes
                .callers
                .iter()
                .position(|caller| std::ptr::eq(caller, of));
            assert_eq!(found, Some(expect), "{tenant}");
        };
        check("a", 0);
        check("b", 1);
        check("c", 3);
        check("d", 2);
        check("nobody knows", 2);
        let unread = lanes.of(&Incoming::read(b"nonsense"));
        assert!(std::ptr::eq(unread, &lanes.callers[3]));
    }
}
