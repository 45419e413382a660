package plimsollpods

# The rules of plimsoll's policies about pods. Their names, and the registries, are parameters of the constraint.

# Every part of the object that has containers, whatever its kind.
pods contains pod if {
	walk(input.review.object, [_, pod])
	is_array(pod.containers)
}

containers(pod) := array.concat(
	array.concat(list(pod, "containers"), list(pod, "initContainers")),
	list(pod, "ephemeralContainers"),
)

list(value, key) := found if {
	found := object.get(value, key, [])
	is_array(found)
} else := []

context(value) := found if {
	found := object.get(value, "securityContext", {})
	is_object(found)
} else := {}

images contains image if {
	some pod in pods
	some container in containers(pod)
	image := object.get(container, "image", "")
}

images contains image if {
	some pod in pods
	some volume in list(pod, "volumes")
	mounted := object.get(volume, "image", null)
	is_object(mounted)
	image := object.get(mounted, "reference", "")
}

asked(rule) if rule in input.parameters.rules

# An object that changes and runs the same goes on: it may lose a finalizer.
unchanged if {
	input.review.operation == "UPDATE"
	object.get(input.review.oldObject, "spec", null) == object.get(input.review.object, "spec", {})
}

violation contains {"msg": msg} if {
	not unchanged
	some [rule, problem] in broken
	asked(rule)
	msg := sprintf("%s: %s", [rule, problem])
}

broken contains ["images-pinned", problem] if {
	some image in images
	not regex.match(`^[^@]+@sha256:[0-9a-f]{64}$`, image)
	problem := sprintf("'%s' is not named by its digest: name it as REPOSITORY@sha256:…", [shown(image)])
}

broken contains ["registries", problem] if {
	some image in images
	not from_allowed(image)
	problem := sprintf("'%s' is not from an allowed registry", [shown(image)])
}

shown(image) := image if image != ""

shown("") := "a container without an image"

from_allowed(image) if {
	some registry in input.parameters.registries
	startswith(image, registry)
}

sources := {
	"configMap",
	"csi",
	"downwardAPI",
	"emptyDir",
	"ephemeral",
	"image",
	"persistentVolumeClaim",
	"projected",
	"secret",
}

broken contains ["volumes", problem] if {
	some pod in pods
	some volume in list(pod, "volumes")
	some kind, value in volume
	kind != "name"
	value != null
	not kind in sources
	problem := sprintf("the volume %v is of the kind %s", [object.get(volume, "name", ""), kind])
}

broken contains ["host-namespaces", problem] if {
	some pod in pods
	some word in ["hostNetwork", "hostPID", "hostIPC"]
	object.get(pod, word, false) == true
	problem := sprintf("%s is true", [word])
}

broken contains ["host-namespaces", problem] if {
	some pod in pods
	some container in containers(pod)
	some port in list(container, "ports")
	object.get(port, "hostPort", 0) != 0
	problem := sprintf("%v takes port %v of its node", [object.get(container, "name", ""), port.hostPort])
}

safe_sysctls := {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_syncookies",
}

broken contains ["sysctls", problem] if {
	some pod in pods
	some sysctl in list(context(pod), "sysctls")
	not object.get(sysctl, "name", "") in safe_sysctls
	problem := sprintf("the sysctl %v concerns others on the node", [object.get(sysctl, "name", "")])
}

broken contains ["privileges", problem] if {
	some pod in pods
	some container in containers(pod)
	not without_privileges(context(container))
	problem := sprintf("%v may become privileged: set allowPrivilegeEscalation: false", [object.get(container, "name", "")])
}

without_privileges(own) if {
	object.get(own, "privileged", false) != true
	object.get(own, "allowPrivilegeEscalation", true) == false
	object.get(own, "procMount", "Default") == "Default"
}

broken contains ["non-root", problem] if {
	some pod in pods
	some container in containers(pod)
	not non_root(context(pod), context(container))
	problem := sprintf("%v may run as root: set runAsNonRoot: true", [object.get(container, "name", "")])
}

non_root(whole, own) if {
	object.get(whole, "runAsUser", 1) != 0
	object.get(own, "runAsUser", 1) != 0
	object.get(own, "runAsNonRoot", object.get(whole, "runAsNonRoot", false)) == true
}

broken contains ["capabilities", problem] if {
	some pod in pods
	some container in containers(pod)
	not few_capabilities(object.get(context(container), "capabilities", {}))
	problem := sprintf("%v keeps capabilities: drop ALL", [object.get(container, "name", "")])
}

few_capabilities(found) if {
	"ALL" in list(found, "drop")
	count([added | some added in list(found, "add"); added != "NET_BIND_SERVICE"]) == 0
}

broken contains ["seccomp", problem] if {
	some pod in pods
	some container in containers(pod)
	whole := object.get(context(pod), "seccompProfile", {})
	profile := object.get(context(container), "seccompProfile", whole)
	not object.get(profile, "type", "") in {"RuntimeDefault", "Localhost"}
	problem := sprintf("%v is not confined: set seccompProfile.type: RuntimeDefault", [object.get(container, "name", "")])
}
