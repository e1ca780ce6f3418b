// A suggestion service in Go: hill climbing, in Katib's own protocol.
//
// It keeps nothing between calls. Whatever it needs is in the request, so it may be killed at any moment.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math"
	"math/rand"
	"net"
	"strconv"

	api "github.com/kubeflow/katib/pkg/apis/manager/v1beta1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type service struct {
	api.UnimplementedSuggestionServer
}

// ValidateAlgorithmSettings says before the first trial what this service cannot do.
func (service) ValidateAlgorithmSettings(_ context.Context, in *api.ValidateAlgorithmSettingsRequest) (*api.ValidateAlgorithmSettingsReply, error) {
	if _, err := settings(in.Experiment); err != nil {
		return nil, err
	}
	for _, parameter := range in.Experiment.Spec.ParameterSpecs.GetParameters() {
		if kind := parameter.ParameterType; kind != api.ParameterType_DOUBLE {
			return nil, status.Errorf(codes.InvalidArgument, "parameter %s is of type %v; must be double", parameter.Name, kind)
		}
	}
	return &api.ValidateAlgorithmSettingsReply{}, nil
}

// GetSuggestions proposes exactly as many assignments as are asked for: steps away from the best trial.
func (service) GetSuggestions(_ context.Context, in *api.GetSuggestionsRequest) (*api.GetSuggestionsReply, error) {
	width, err := settings(in.Experiment)
	if err != nil {
		return nil, err
	}
	best := bestOf(in)
	reply := &api.GetSuggestionsReply{}
	for n := in.TotalRequestNumber - in.CurrentRequestNumber; n < in.TotalRequestNumber; n++ {
		random := rand.New(rand.NewSource(seed(in.Experiment.Name, n)))
		entry := &api.GetSuggestionsReply_ParameterAssignments{}
		for _, parameter := range in.Experiment.Spec.ParameterSpecs.GetParameters() {
			entry.Assignments = append(entry.Assignments, step(parameter, best, width, random))
		}
		reply.ParameterAssignments = append(reply.ParameterAssignments, entry)
	}
	return reply, nil
}

// settings gives how far a step goes, as a share of the range.
func settings(experiment *api.Experiment) (float64, error) {
	if name := experiment.Spec.Algorithm.GetAlgorithmName(); name != "climb" {
		return 0, status.Errorf(codes.InvalidArgument, "unknown algorithm %s; must be climb", name)
	}
	width := 0.1
	for _, setting := range experiment.Spec.Algorithm.GetAlgorithmSettings() {
		if setting.Name != "width" {
			return 0, status.Errorf(codes.InvalidArgument, "unknown setting %s; must be width", setting.Name)
		}
		value, err := strconv.ParseFloat(setting.Value, 64)
		if err != nil || !(value > 0) {
			return 0, status.Errorf(codes.InvalidArgument, "width is %q; must be a number above 0", setting.Value)
		}
		width = value
	}
	return width, nil
}

// bestOf gives the assignments of the best trial that has a result; none at the beginning.
func bestOf(in *api.GetSuggestionsRequest) map[string]string {
	objective, found, least := in.Experiment.Spec.Objective, map[string]string{}, math.Inf(1)
	for _, trial := range in.Trials {
		if trial.Status.GetCondition() != api.TrialStatus_SUCCEEDED {
			continue
		}
		for _, metric := range trial.Status.GetObservation().GetMetrics() {
			value, err := strconv.ParseFloat(metric.Value, 64)
			if err != nil || math.IsNaN(value) || metric.Name != objective.GetObjectiveMetricName() {
				continue
			}
			if objective.GetType() == api.ObjectiveType_MAXIMIZE {
				value = -value
			}
			if value < least {
				least, found = value, map[string]string{}
				for _, assignment := range trial.Spec.GetParameterAssignments().GetAssignments() {
					found[assignment.Name] = assignment.Value
				}
			}
		}
	}
	return found
}

// step goes from the best value in a random direction; without one it goes anywhere.
func step(parameter *api.ParameterSpec, best map[string]string, width float64, random *rand.Rand) *api.ParameterAssignment {
	low, _ := strconv.ParseFloat(parameter.FeasibleSpace.Min, 64)
	high, _ := strconv.ParseFloat(parameter.FeasibleSpace.Max, 64)
	value := low + random.Float64()*(high-low)
	if from, err := strconv.ParseFloat(best[parameter.Name], 64); err == nil {
		value = math.Min(math.Max(from+width*random.NormFloat64()*(high-low), low), high)
	}
	return &api.ParameterAssignment{Name: parameter.Name, Value: strconv.FormatFloat(value, 'g', -1, 64)}
}

// seed is another one for every assignment of every experiment, and the same for the same one after a restart.
func seed(experiment string, number int32) int64 {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s %d", experiment, number)
	return int64(hash.Sum64())
}

func main() {
	listen := flag.String("listen", "127.0.0.1:6789", "HOST:PORT; port 0 takes a free one")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32)) // the history of a long search is more than 4 MB
	api.RegisterSuggestionServer(server, service{})
	healthy := health.NewServer()
	healthy.SetServingStatus("manager.v1beta1.Suggestion", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, healthy)
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}
