// Command apivalidation says of each JSON object on standard input, one a line, whether the API server of the
// Kubernetes this module pins would create it: by its own decoding, defaulting and validation, without a
// cluster. One line of JSON an object: {"refused": [{"field": "...", "message": "..."}]}, the list empty where
// it is accepted, null where the kind is not one of those below.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
)

var strategies = map[schema.GroupKind]rest.RESTCreateStrategy{
	{Group: "", Kind: "ConfigMap"}:                          configmap.Strategy,
	{Group: "", Kind: "Namespace"}:                          namespace.Strategy,
	{Group: "", Kind: "PersistentVolume"}:                   persistentvolume.Strategy,
	{Group: "", Kind: "PersistentVolumeClaim"}:              persistentvolumeclaim.Strategy,
	{Group: "", Kind: "Pod"}:                                pod.Strategy,
	{Group: "", Kind: "Secret"}:                             secret.Strategy,
	{Group: "", Kind: "Service"}:                            service.Strategy,
	{Group: "", Kind: "ServiceAccount"}:                     serviceaccount.Strategy,
	{Group: "apps", Kind: "DaemonSet"}:                      daemonset.Strategy,
	{Group: "apps", Kind: "Deployment"}:                     deployment.Strategy,
	{Group: "apps", Kind: "ReplicaSet"}:                     replicaset.Strategy,
	{Group: "apps", Kind: "StatefulSet"}:                    statefulset.Strategy,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: horizontalpodautoscaler.Strategy,
	{Group: "batch", Kind: "CronJob"}:                       cronjob.Strategy,
	{Group: "batch", Kind: "Job"}:                           job.Strategy,
	{Group: "networking.k8s.io", Kind: "Ingress"}:           ingress.Strategy,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:     networkpolicy.Strategy,
	{Group: "policy", Kind: "PodDisruptionBudget"}:          poddisruptionbudget.Strategy,
}

type cause struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

type verdict struct {
	Refused []cause `json:"refused"`
}

func judge(document []byte) verdict {
	var head metav1.PartialObjectMetadata
	if err := json.Unmarshal(document, &head); err != nil {
		return verdict{[]cause{{"", err.Error()}}}
	}
	strategy, known := strategies[head.GroupVersionKind().GroupKind()]
	if !known {
		return verdict{}
	}
	decoder := serializer.NewCodecFactory(legacyscheme.Scheme).UniversalDecoder()
	obj, _, err := decoder.Decode(document, nil, nil)
	if err != nil {
		return verdict{[]cause{{"", err.Error()}}}
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return verdict{[]cause{{"", err.Error()}}}
	}
	ctx := context.Background()
	if strategy.NamespaceScoped() {
		if accessor.GetNamespace() == "" {
			accessor.SetNamespace("default")
		}
		ctx = genericapirequest.WithNamespace(ctx, accessor.GetNamespace())
	}
	rest.FillObjectMetaSystemFields(accessor)
	causes := []cause{}
	if err := rest.BeforeCreate(strategy, ctx, obj); err != nil {
		var status *apierrors.StatusError
		if errors.As(err, &status) && status.ErrStatus.Details != nil {
			for _, each := range status.ErrStatus.Details.Causes {
				causes = append(causes, cause{each.Field, each.Message})
			}
		}
		if len(causes) == 0 {
			causes = append(causes, cause{"", err.Error()})
		}
	}
	return verdict{causes}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := answers.Encode(judge(lines.Bytes())); err != nil {
			os.Exit(1)
		}
	}
	if lines.Err() != nil {
		os.Exit(1)
	}
}
