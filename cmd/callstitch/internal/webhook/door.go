package webhook

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Door is the endpoints of a front door, as those who post to them know them.
type Door struct{ Routes []Route }

// Route is whose events go to an endpoint.
type Route struct {
	Path     string // as in the configuration
	Provider string
	Tenant   string // empty: any, where the path has {tenant}, else nobody's
	Endpoint        // its URL may have {provider}, {tenant} and {scope}
}

const (
	providerMark = "{provider}"
	tenantMark   = "{tenant}"
	scopeMark    = "{scope}"
)

// Open is a door that takes anybody's events at one address, which may have
// {provider} and {tenant} in it; without them they are two more segments of it. A name
// and a password in it are given when they are asked for.
func Open(address string) (*Door, error) {
	base, user, err := split(address)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(base, providerMark) && !strings.Contains(base, tenantMark) {
		base = strings.TrimRight(base, "/") + "/" + providerMark + "/" + tenantMark
	}
	e := Endpoint{URL: base, Username: user.Username()}
	e.Password, _ = user.Password()
	return &Door{[]Route{{Path: base, Endpoint: e}}}, nil
}

// split takes a name and a password out of an address.
func split(address string) (base string, user *url.Userinfo, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", nil, fmt.Errorf("%q is no address such as http://127.0.0.1:8085", redacted(u, address))
	}
	scheme, rest, _ := strings.Cut(address, "://")
	if u.User != nil {
		_, rest, _ = strings.Cut(rest, "@")
	}
	return scheme + "://" + rest, u.User, nil
}

func redacted(u *url.URL, address string) string {
	if u == nil {
		return address
	}
	return u.Redacted()
}

// Add adds an endpoint of a configuration; base is where its door is.
func (d *Door) Add(base string, r Route) error {
	base, _, err := split(base)
	if err != nil {
		return err
	}
	r.URL = strings.TrimRight(base, "/") + r.Path
	d.Routes = append(d.Routes, r)
	return nil
}

// Providers are those that have an endpoint; none where each may have.
func (d *Door) Providers() (names []string) {
	for _, r := range d.Routes {
		if r.Provider != "" && !slices.Contains(names, r.Provider) {
			names = append(names, r.Provider)
		}
	}
	return names
}

// For is where a provider posts a tenant's events. exact is false where no endpoint is
// that tenant's, and the first one of the provider takes them, as another's.
func (d *Door) For(provider, tenant string) (e Endpoint, exact, ok bool) {
	for _, r := range d.Routes {
		if r.Provider != "" && r.Provider != provider {
			continue
		}
		takes := r.Tenant == tenant || strings.Contains(r.URL, tenantMark)
		if takes || !ok {
			e, exact, ok = r.at(provider, tenant), takes, true
		}
		if takes {
			break
		}
	}
	return e, exact, ok
}

// at is the endpoint with its address filled in.
func (r *Route) at(provider, tenant string) Endpoint {
	e := r.Endpoint
	e.URL = strings.NewReplacer(
		providerMark, url.PathEscape(provider), tenantMark, url.PathEscape(tenant), scopeMark, "main",
	).Replace(e.URL)
	return e
}

// Probe is the endpoint for an event that is nobody's.
func (r *Route) Probe() Endpoint {
	tenant := r.Tenant
	if tenant == "" {
		tenant = "callstitch-probe"
	}
	return r.at(r.Provider, tenant)
}
