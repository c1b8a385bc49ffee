// Package readme has the code that README.md shows, in its tests, so that it compiles
// and runs.
package readme
