package petratest

var givenNames = []string{
	"Aiko", "Alice", "Amara", "Anders", "Beatriz", "Carlos", "Chidi", "Dana", "Elena", "Emil", "Farah", "Grace",
	"Hana", "Hugo", "Ines", "Ivan", "Jamal", "Jonas", "Katja", "Leila", "Liam", "Mateo", "Mina", "Nadia",
	"Noah", "Olga", "Omar", "Priya", "Rosa", "Samir", "Tomas", "Yara",
}

var familyNames = []string{
	"Abbott", "Alvarez", "Baker", "Becker", "Carter", "Costa", "Diallo", "Dubois", "Eriksen", "Fischer", "Garcia",
	"Haddad", "Ito", "Jansen", "Kaya", "Keller", "Kowalski", "Larsen", "Lopez", "Moreau", "Nguyen", "Novak",
	"Okafor", "Patel", "Rossi", "Santos", "Schmidt", "Silva", "Tanaka", "Virtanen", "Walker", "Young",
}

// Three words make a company's name: 32 * 28 * 14 = 12,544 of them.
var (
	companyFirst = []string{
		"Alder", "Amber", "Arbor", "Aspen", "Birch", "Bright", "Cedar", "Clear", "Copper", "Crescent", "Delta", "Eagle",
		"Elm", "Evergreen", "Falcon", "Granite", "Harbor", "Heron", "Highland", "Ivory", "Juniper", "Keystone", "Lark",
		"Maple", "North", "Oak", "Pioneer", "Quarry", "River", "Summit", "Timber", "Willow",
	}
	companySecond = []string{
		"bridge", "brook", "crest", "dale", "field", "ford", "gate", "grove", "haven", "hill", "lake", "land", "light",
		"line", "mark", "mere", "mont", "point", "port", "ridge", "rock", "side", "stone", "vale", "view", "water",
		"wood", "worth",
	}
	companyTrade = []string{
		"Accounting", "Architects", "Clinics", "Construction", "Dental", "Engineering", "Foods", "Insurance", "Legal",
		"Logistics", "Manufacturing", "Media", "Realty", "Schools",
	}
)
