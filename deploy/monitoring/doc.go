// Package monitoring holds what watches callstitch: alerts for Prometheus, and a dashboard
// for Grafana, which is made from a table here. Its tests hold both against the pages that
// list metrics, alerts and what to do, and have Prometheus read and run them.
package monitoring
