package config

import (
	"reflect"
	"strings"
)

// envName is the variable of a key: http.listen is CALLSTITCH_HTTP_LISTEN.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// eachKey visits the settings under v that are no groups of other settings.
func eachKey(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		p := join(path, v.Type().Field(i).Tag.Get("yaml"))
		if f := v.Field(i); f.Kind() == reflect.Struct {
			eachKey(f, p, visit)
		} else {
			visit(p, f)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// nearest is the path of the known key that key was most likely meant to be:
// one beside it with nearly its name, else one of its exact name elsewhere, else
// the least different one beside it.
func nearest(key, path string, v reflect.Value) string {
	best, least := "", len(key)+64
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if d := editDistance(key, tag); d < least {
			best, least = join(path, tag), d
		}
	}
	if least > 2 {
		all := Default()
		eachKey(reflect.ValueOf(&all).Elem(), "", func(p string, _ reflect.Value) {
			if least > 0 && (p == key || strings.HasSuffix(p, "."+key)) {
				best, least = p, 0
			}
		})
	}
	return best
}

// editDistance is the number of letters to insert, remove, replace, or swap with
// the next one, that make b out of a.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
