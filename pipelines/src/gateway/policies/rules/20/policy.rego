# A set of 20 rules, each with a condition of its own: the first that fits allows. For measurements.
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

fitting contains 2 if {
	input.action == "action-2"
	startswith(input.resource, "kind-2:")
	input.context.level >= 2
}

fitting contains 3 if {
	input.action == "action-3"
	startswith(input.resource, "kind-3:")
	input.context.level >= 3
}

fitting contains 4 if {
	input.action == "action-4"
	startswith(input.resource, "kind-4:")
	input.context.level >= 4
}

fitting contains 5 if {
	input.action == "action-5"
	startswith(input.resource, "kind-5:")
	input.context.level >= 0
}

fitting contains 6 if {
	input.action == "action-6"
	startswith(input.resource, "kind-6:")
	input.context.level >= 1
}

fitting contains 7 if {
	input.action == "action-7"
	startswith(input.resource, "kind-7:")
	input.context.level >= 2
}

fitting contains 8 if {
	input.action == "action-8"
	startswith(input.resource, "kind-8:")
	input.context.level >= 3
}

fitting contains 9 if {
	input.action == "action-9"
	startswith(input.resource, "kind-9:")
	input.context.level >= 4
}

fitting contains 10 if {
	input.action == "action-10"
	startswith(input.resource, "kind-10:")
	input.context.level >= 0
}

fitting contains 11 if {
	input.action == "action-11"
	startswith(input.resource, "kind-11:")
	input.context.level >= 1
}

fitting contains 12 if {
	input.action == "action-12"
	startswith(input.resource, "kind-12:")
	input.context.level >= 2
}

fitting contains 13 if {
	input.action == "action-13"
	startswith(input.resource, "kind-13:")
	input.context.level >= 3
}

fitting contains 14 if {
	input.action == "action-14"
	startswith(input.resource, "kind-14:")
	input.context.level >= 4
}

fitting contains 15 if {
	input.action == "action-15"
	startswith(input.resource, "kind-15:")
	input.context.level >= 0
}

fitting contains 16 if {
	input.action == "action-16"
	startswith(input.resource, "kind-16:")
	input.context.level >= 1
}

fitting contains 17 if {
	input.action == "action-17"
	startswith(input.resource, "kind-17:")
	input.context.level >= 2
}

fitting contains 18 if {
	input.action == "action-18"
	startswith(input.resource, "kind-18:")
	input.context.level >= 3
}

fitting contains 19 if {
	input.action == "action-19"
	startswith(input.resource, "kind-19:")
	input.context.level >= 4
}

fitting contains 20 if {
	input.action == "action-20"
	startswith(input.resource, "kind-20:")
	input.context.level >= 0
}
