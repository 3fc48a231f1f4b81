# Tenants: each has roles of its own, inherits those of the tenants above it, and may give permissions for a time of the day.
#
# `data.tenants.<name>` has `parent`, `subjects` (which roles they have), `roles` (what those may) and `suspended`. A permission
# may have a `window` of days (1 is Monday) and hours in UTC; a decision that depends on one holds until the minute is over.
package gateway

default decision := {"allow": false, "reason": "no role of the subject may do this"}

decision := {"allow": false, "reason": sprintf("tenant `%s` is not known", [input.tenant])} if {
	not data.tenants[input.tenant]
}

decision := {"allow": false, "reason": sprintf("tenant `%s` is suspended", [min(suspended)])} if {
	data.tenants[input.tenant]
	count(suspended) > 0
}

decision := {"allow": true, "reason": sprintf("role `%s` of tenant `%s` may", [first[1], first[0]])} if {
	data.tenants[input.tenant]
	count(suspended) == 0
	count(always) > 0
	first := min(always)
}

decision := {
	"allow": true,
	"reason": sprintf("role `%s` of tenant `%s` may at this time", [first[1], first[0]]),
	"valid_for_s": 60 - input.time.second,
} if {
	data.tenants[input.tenant]
	count(suspended) == 0
	count(always) == 0
	count(now) > 0
	first := min(now)
}

decision := {
	"allow": false,
	"reason": "a role of the subject may do this at another time",
	"valid_for_s": 60 - input.time.second,
} if {
	data.tenants[input.tenant]
	count(suspended) == 0
	count(always) == 0
	count(now) == 0
	count(windowed) > 0
}

# The tenant and those above it, as far as four levels.
parent(name) := object.get(object.get(data.tenants, name, {}), "parent", "")

line := [tenant |
	first := input.tenant
	second := parent(first)
	third := parent(second)
	fourth := parent(third)
	some tenant in [first, second, third, fourth]
	tenant != ""
]

suspended contains tenant if {
	some tenant in line
	data.tenants[tenant].suspended == true
}

kind := split(input.resource, ":")[0]

# What the subject's roles may, in its tenant and above: `[tenant, role, permission]`.
fitting contains [tenant, role, permission] if {
	some tenant in line
	some role in object.get(data.tenants[tenant], "subjects", {})[input.subject]
	some owner in line
	some permission in object.get(data.tenants[owner], "roles", {})[role]
	permission.action in {input.action, "*"}
	permission.kind in {kind, "*"}
}

always contains [tenant, role] if {
	some [tenant, role, permission] in fitting
	not permission.window
}

windowed contains [tenant, role, permission.window] if {
	some [tenant, role, permission] in fitting
	permission.window
}

now contains [tenant, role] if {
	some [tenant, role, window] in windowed
	input.time.weekday in window.days
	input.time.hour >= window.from_hour
	input.time.hour < window.to_hour
}
