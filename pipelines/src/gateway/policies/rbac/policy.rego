# Roles: a subject may do what one of its roles may do to that kind of resource.
#
# `data.roles` says what a role may, `data.subjects` which roles a subject has. A resource is `kind:name`.
package gateway

default decision := {"allow": false, "reason": "no role of the subject may do this"}

decision := {"allow": true, "reason": sprintf("role `%s` may", [role])} if {
	role := min(granting)
}

kind := split(input.resource, ":")[0]

# Every role of the subject that may do this. The least is the reason, so that it is the same each time.
granting contains role if {
	some role in data.subjects[input.subject]
	some permission in data.roles[role]
	permission.action in {input.action, "*"}
	permission.kind in {kind, "*"}
}
