# A set of 1 rule, each with a condition of its own: the first that fits allows. For measurements.
package gateway

default decision := {"allow": false, "reason": "no rule fits"}

decision := {"allow": true, "reason": sprintf("rule %d", [first])} if {
	first := min(fitting)
}

fitting contains 1 if {
	input.action == "action-1"
	startswith(input.resource, "kind-1:")
	input.context.level >= 1
}
