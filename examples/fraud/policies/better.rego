# What bounds on single figures cannot say: a model that is served has to be worth its trouble.
package plimsoll.fraud

least := 1.15

deny contains {"msg": msg, "about": model.reference, "remedy": "keep the version that serves, or the rules"} if {
	some model in input.models
	some figure in ["average_precision", "recall_at_alerts"]
	rules := model.metrics[concat("", ["baseline_rules_", figure])]
	model.metrics[figure] < least * rules
	msg := sprintf("%s of %s is %v, and the rules of the fraud desk alone have %v", [
		figure, model.reference, model.metrics[figure], rules,
	])
}
