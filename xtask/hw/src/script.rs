//! Commands that change a machine, as text: nothing here runs them.

use crate::check::Write;

/// The command that writes a value: `sysctl -w vm.swappiness=1`, or an `echo`.
pub(crate) fn command(write: &Write) -> String {
    match write.path.strip_prefix("proc/sys/") {
        Some(name) => format!("sysctl -w {}={}", name.replace('/', "."), write.value),
        None => format!("echo {} > /{}", write.value, write.path),
    }
}
