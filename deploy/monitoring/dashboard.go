package monitoring

import "encoding/json"

// What a panel measures, in the 24 columns of Grafana's grid.
const (
	width   = 8
	height  = 7
	abreast = 24 / width
)

// dashboard is the JSON that Grafana imports.
func dashboard(rows []row) ([]byte, error) {
	type object = map[string]any
	source := object{"type": "prometheus", "uid": "${datasource}"}
	var panels []object
	id, y := 0, 0
	add := func(p, at object) {
		id++
		p["id"], p["gridPos"] = id, at
		panels = append(panels, p)
	}
	for _, r := range rows {
		add(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, object{"x": 0, "y": y, "w": 24, "h": 1})
		y++
		for i, p := range r.panels {
			var targets []object
			for n, q := range p.queries {
				targets = append(targets, object{"refId": string(rune('A' + n)), "datasource": source, "expr": q.expr, "legendFormat": q.legend})
			}
			add(object{
				"type": "timeseries", "title": p.title, "description": p.about, "datasource": source, "targets": targets,
				"fieldConfig": object{"defaults": object{"unit": p.unit, "min": 0, "custom": object{"fillOpacity": 10, "showPoints": "never"}}, "overrides": []object{}},
				"options":     object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}},
			}, object{"x": i % abreast * width, "y": y + i/abreast*height, "w": width, "h": height})
		}
		y += (len(r.panels) + abreast - 1) / abreast * height
	}
	return json.MarshalIndent(object{
		"title": "callstitch", "uid": "callstitch", "tags": []string{"callstitch", "kafka"},
		"schemaVersion": 39, "editable": true, "refresh": "30s", "time": object{"from": "now-3h", "to": "now"}, "timezone": "browser",
		"annotations": object{"list": []object{}},
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			{
				"name": "job", "label": "Job", "type": "query", "datasource": source, "multi": true, "includeAll": true, "allValue": ".*",
				"current": object{"text": []string{"All"}, "value": []string{"$__all"}}, "refresh": 2,
				"definition": "label_values(callstitch_build_info, job)",
				"query":      object{"query": "label_values(callstitch_build_info, job)", "refId": "job"},
			},
		}},
		"panels": panels,
	}, "", "  ")
}
