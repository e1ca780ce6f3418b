// Answers GJSON queries for the tests: one {"expression": …, "document": …} a line in, one result a line out.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/tidwall/gjson"
)

type question struct {
	Expression string
	Document   string
}

type answer struct {
	Exists bool   `json:"exists"`
	Raw    string `json:"raw"`
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var asked question
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			panic(err)
		}
		result := gjson.Get(asked.Document, asked.Expression)
		if err := output.Encode(answer{result.Exists(), result.Raw}); err != nil {
			panic(err)
		}
	}
}
