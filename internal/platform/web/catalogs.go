package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

var catalogPages = []page{
	{"GET /catalogs", "view", (*visit).catalogs},
	{"GET /new-catalog", "edit", (*visit).newCatalog},
	{"POST /new-catalog", "edit", (*visit).makeCatalog},
	{"GET /catalogs/{name}", "view", (*visit).catalog},
	{"POST /catalogs/{name}", "edit", (*visit).changeCatalog},
	{"POST /catalogs/{name}/delete", "edit", (*visit).deleteCatalog},
	{"POST /catalogs/{name}/check", "edit", (*visit).checkCatalog},
}

// catalogsOnPage is how many catalogs a page lists.
const catalogsOnPage = 100

// A catalogList is what the page of all catalogs shows.
type catalogList struct {
	Catalogs    []wire.Catalog
	First, Next string
}

func (v *visit) catalogs() error {
	after := v.r.URL.Query().Get("after")
	q := url.Values{"limit": {fmt.Sprint(catalogsOnPage)}, "jobs": {"true"}, "after": {after}}
	var list struct{ Catalogs []wire.Catalog }
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1/catalogs?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	p := catalogList{Catalogs: list.Catalogs}
	if after != "" {
		p.First = "/catalogs"
	}
	if n := len(p.Catalogs); n == catalogsOnPage {
		p.Next = "/catalogs?after=" + url.QueryEscape(p.Catalogs[n-1].Name)
	}
	return v.render(http.StatusOK, "catalogs", "Catalogs", p, nav("catalogs"))
}

// A catalogPage is what the page of a catalog shows, and of one that is made.
type catalogPage struct {
	Catalog   wire.Catalog // zero: it is made
	Name      string
	Statement string // in the form
	Revision  int    // that the form is a change of
	Problem   *wire.Problem
	Lines     []faultLine
	Checked   *wire.CatalogChecked
	Old       int // jobs with an older revision
}

const exampleCatalog = `CREATE CATALOG %s WITH (
  'type' = 'generic_in_memory'
);
`

func (v *visit) newCatalog() error {
	return v.render(http.StatusOK, "new-catalog", "New catalog", catalogPage{Statement: fmt.Sprintf(exampleCatalog, "shop")}, nav("catalogs"))
}

func (v *visit) makeCatalog() error {
	if err := v.form(); err != nil {
		return err
	}
	p := catalogPage{Name: strings.TrimSpace(v.r.PostForm.Get("name")), Statement: strings.ReplaceAll(v.r.PostForm.Get("statement"), "\r\n", "\n")}
	if p.Name == "" {
		p.Problem = &wire.Problem{Title: "The catalog has no name", Status: http.StatusBadRequest, Hint: "small letters, digits and hyphens, at most 63"}
		return v.render(p.Problem.Status, "new-catalog", "New catalog", p, nav("catalogs"))
	}
	_, err := v.api.PutCatalog(v.ctx(), p.Name, p.Statement, 0)
	if problem := v.problem(err); problem != nil {
		p.Problem, p.Lines = problem, faultLines(p.Statement, problem.Faults)
		if problem.Status == http.StatusPreconditionFailed {
			p.Problem = &wire.Problem{Title: "Not new", Status: http.StatusConflict, Detail: fmt.Sprintf("there is a catalog %s", p.Name), Hint: "choose another name, or change that catalog on its page"}
		}
		return v.render(p.Problem.Status, "new-catalog", "New catalog", p, nav("catalogs"))
	}
	if err != nil {
		return err
	}
	return v.done("/catalogs/"+url.PathEscape(p.Name), "catalog-saved")
}

// catalogPage reads a catalog.
func (v *visit) catalogPage() (catalogPage, error) {
	var p catalogPage
	err := v.api.Do(v.ctx(), http.MethodGet, "/v1/catalogs/"+url.PathEscape(v.path("name")), nil, &p.Catalog)
	p.Name, p.Statement, p.Revision = p.Catalog.Name, p.Catalog.Statement, p.Catalog.Revision
	for _, u := range p.Catalog.Jobs {
		if u.Revision < p.Catalog.Revision {
			p.Old++
		}
	}
	return p, err
}

func (v *visit) showCatalog(status int, p catalogPage) error {
	return v.render(status, "catalog", "Catalog "+p.Name, p, nav("catalogs"), script("catalog.js"))
}

func (v *visit) catalog() error {
	p, err := v.catalogPage()
	if err != nil {
		return err
	}
	return v.showCatalog(http.StatusOK, p)
}

func (v *visit) changeCatalog() error {
	if err := v.form(); err != nil {
		return err
	}
	p, err := v.catalogPage()
	if err != nil {
		return err
	}
	p.Statement = strings.ReplaceAll(v.r.PostForm.Get("statement"), "\r\n", "\n")
	if _, err := fmt.Sscanf(v.r.PostForm.Get("revision"), "%d", &p.Revision); err != nil || p.Revision < 1 {
		p.Revision = p.Catalog.Revision
	}
	_, err = v.api.PutCatalog(v.ctx(), p.Name, p.Statement, p.Revision)
	if problem := v.problem(err); problem != nil {
		p.Problem, p.Lines = problem, faultLines(p.Statement, problem.Faults)
		if problem.Status == http.StatusPreconditionFailed {
			p.Problem = &wire.Problem{Title: "Changed meanwhile", Status: problem.Status, Detail: fmt.Sprintf("%s made revision %d of this catalog while you changed revision %d", p.Catalog.By, p.Catalog.Revision, p.Revision),
				Hint: "it is shown below; your text is still in the form. Save again to replace it"}
			p.Revision = p.Catalog.Revision
		}
		return v.showCatalog(p.Problem.Status, p)
	}
	if err != nil {
		return err
	}
	return v.done("/catalogs/"+url.PathEscape(p.Name), "catalog-saved")
}

func (v *visit) deleteCatalog() error {
	err := v.api.Do(v.ctx(), http.MethodDelete, "/v1/catalogs/"+url.PathEscape(v.path("name")), nil, nil)
	if problem := v.problem(err); problem != nil && problem.Status == http.StatusConflict {
		p, err := v.catalogPage()
		if err != nil {
			return err
		}
		p.Problem = problem
		return v.showCatalog(problem.Status, p)
	}
	if err != nil {
		return err
	}
	return v.done("/catalogs", "catalog-deleted")
}

// checkCatalog is the check for a browser without scripts: it waits for the answer.
func (v *visit) checkCatalog() error {
	p, err := v.catalogPage()
	if err != nil {
		return err
	}
	var c wire.CatalogChecked
	err = v.api.Do(v.ctx(), http.MethodPost, "/v1/catalogs/"+url.PathEscape(p.Name)+"/check", nil, &c)
	if problem := v.problem(err); problem != nil {
		p.Problem = problem
		return v.showCatalog(problem.Status, p)
	}
	if err != nil {
		return err
	}
	p.Checked = &c
	return v.showCatalog(http.StatusOK, p)
}
