package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by path and status
	rejected *prometheus.CounterVec   // by reason
	streams  *prometheus.GaugeVec     // open now, by task
	sound    *prometheus.CounterVec   // seconds taken in, by task
	lag      *prometheus.HistogramVec // from the arrival of sound to what came of it, by task
	words    prometheus.Histogram     // from the arrival of the end of a word to the committed word
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sotto_requests_total", Help: "Requests answered, by path and status."}, []string{"path", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sotto_rejected_total", Help: "Requests and streams refused or cut off, by reason."}, []string{"reason"}),
		streams:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sotto_streams", Help: "Streams that are open, by task."}, []string{"task"}),
		sound:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sotto_sound_seconds_total", Help: "Seconds of sound taken in, by task."}, []string{"task"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sotto_lag_seconds", Help: "From the arrival of sound on a stream to the end of its processing, by task.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"task"}),
		words: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sotto_word_latency_seconds", Help: "From the arrival of the end of a word to its being committed.",
			Buckets: []float64{.05, .1, .2, .3, .4, .5, .7, 1, 1.5, 2, 5, 10},
		}),
	}
	m.registry.MustRegister(m.requests, m.rejected, m.streams, m.sound, m.lag, m.words,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
