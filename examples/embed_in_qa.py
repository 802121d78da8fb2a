"""Give a language model the evidence for a question, with citation markers.

trailhound index my-docs/ --out my-docs.index
python examples/embed_in_qa.py my-docs.index "Who founded the company that makes the Model 7?"
"""

import sys

import trailhound

index = trailhound.Index.open(sys.argv[1])
agent = trailhound.SearchAgent(index)
result = agent.search(sys.argv[2])

print("Answer from the evidence below and cite it by number.\n")
print(result.context(1500))
print(f"\nQuestion: {result.question}")
