package main

import (
	"github.com/awslabs/operatorpkg/status"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// LabNodeClass is what Karpenter wants every provider to have. The lab has one kind of machine, so it says nothing.
type LabNodeClass struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata,omitempty"`
	Status          LabNodeClassStatus `json:"status,omitempty"`
}

type LabNodeClassStatus struct {
	Conditions []status.Condition `json:"conditions,omitempty"`
}

type LabNodeClassList struct {
	meta.TypeMeta `json:",inline"`
	meta.ListMeta `json:"metadata,omitempty"`
	Items         []LabNodeClass `json:"items"`
}

func init() {
	version := schema.GroupVersion{Group: "lab.plimsoll.dev", Version: "v1"}
	meta.AddToGroupVersion(scheme.Scheme, version)
	scheme.Scheme.AddKnownTypes(version, &LabNodeClass{}, &LabNodeClassList{})
}

func (c *LabNodeClass) StatusConditions() status.ConditionSet {
	return status.NewReadyConditions().For(c)
}

func (c *LabNodeClass) GetConditions() []status.Condition { return c.Status.Conditions }

func (c *LabNodeClass) SetConditions(conditions []status.Condition) { c.Status.Conditions = conditions }

func (c *LabNodeClass) DeepCopyObject() runtime.Object {
	copied := &LabNodeClass{TypeMeta: c.TypeMeta}
	c.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	for _, condition := range c.Status.Conditions {
		copied.Status.Conditions = append(copied.Status.Conditions, *condition.DeepCopy())
	}
	return copied
}

func (l *LabNodeClassList) DeepCopyObject() runtime.Object {
	copied := &LabNodeClassList{TypeMeta: l.TypeMeta, ListMeta: l.ListMeta}
	for index := range l.Items {
		copied.Items = append(copied.Items, *l.Items[index].DeepCopyObject().(*LabNodeClass))
	}
	return copied
}
