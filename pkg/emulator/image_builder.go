package emulator

import "net/http"

const imageBuilderService = "imagebuilder"

// imageBuilderActions are the emulated actions of Image Builder.
var imageBuilderActions = map[string]action{
	"ListContainerRecipes": {listContainerRecipes, []string{"maxResults", "nextToken", "owner"}},
	"ListImageRecipes":     {listImageRecipes, []string{"maxResults", "nextToken", "owner"}},
}

// imageBuilderRoutes say where its actions are found.
var imageBuilderRoutes = []route{
	{http.MethodPost, "/ListContainerRecipes", "ListContainerRecipes", http.StatusOK},
	{http.MethodPost, "/ListImageRecipes", "ListImageRecipes", http.StatusOK},
}

// listImageRecipes lists all versions of the account's image recipes.
func listImageRecipes(c *call) (object, error) {
	return listRecipes(c, "imageRecipeSummaryList", imageRecipesFile)
}

// listContainerRecipes lists all versions of the account's container recipes.
func listContainerRecipes(c *call) (object, error) {
	return listRecipes(c, "containerRecipeSummaryList", containerRecipesFile)
}

// listRecipes lists the recipes in a file. The account directory has no others than the account's.
func listRecipes(c *call, key, file string) (object, error) {
	recipes := c.region.items(file)
	if owner := c.text("owner"); owner != "" && owner != "Self" {
		recipes = nil
	}
	recipes, token, err := page(c, recipes, paging{least: 1, most: 25, usual: 25})
	return listingWith("nextToken", key, recipes, token), err
}

// imageRecipesOf finds image recipes whose parent is an image by its id.
func (c *call) imageRecipesOf(l lookup) []string {
	return arnsOf(c.region.entries(imageRecipesFile, "parentImage", l.imageID))
}

// containerRecipesOf finds container recipes whose instances are built from an image by its id.
func (c *call) containerRecipesOf(l lookup) []string {
	return arnsOf(c.region.entries(containerRecipesFile, "instanceImage", l.imageID))
}

func arnsOf(recipes []object) []string {
	arns := make([]string, len(recipes))
	for i, recipe := range recipes {
		arns[i] = text(recipe, "arn")
	}
	return arns
}
