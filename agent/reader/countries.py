"""Which countries a text speaks of: by name, by nationality, or by a state or province of its own."""

from __future__ import annotations

import re
from functools import cache

_COUNTRIES = """
United States=American,U.S.,US,USA,Alabama,Alaska,Arizona,Arkansas,California,Colorado,Connecticut,Delaware
United States=Florida,Hawaii,Idaho,Illinois,Indiana,Iowa,Kansas,Kentucky,Louisiana,Maine,Maryland
United States=Massachusetts,Michigan,Minnesota,Mississippi,Missouri,Montana,Nebraska,Nevada,New Hampshire
United States=New Jersey,New Mexico,New York,North Carolina,North Dakota,Ohio,Oklahoma,Oregon,Pennsylvania
United States=Rhode Island,South Carolina,South Dakota,Tennessee,Texas,Utah,Vermont,Virginia,West Virginia
United States=Wisconsin,Wyoming,Hollywood
United Kingdom=British,UK,U.K.,England,English,Scotland,Scottish,Wales,Welsh,Northern Ireland,London,Great Britain
Canada=Canadian,Ontario,Quebec,Alberta,British Columbia,Manitoba,Saskatchewan,Nova Scotia,New Brunswick,Newfoundland
Australia=Australian,New South Wales,Queensland,Tasmania,South Australia,Western Australia
India=Indian,Kerala,Tamil Nadu,Karnataka,Maharashtra,Bengali,Tamil,Malayalam,Telugu,Hindi,Kannada,Marathi
India=Bollywood,Uttar Pradesh,Gujarat,West Bengal,Punjab
Iran=Iranian,Persian
Iraq=Iraqi
Ireland=Irish
New Zealand=New Zealander
South Africa=South African
Hong Kong=Hongkong
China=Chinese,PRC
Taiwan=Taiwanese
Japan=Japanese
South Korea=South Korean,Korean,Korea
North Korea=North Korean
France=French,Paris
Germany=German,West German,East German,West Germany,East Germany,Prussian,Bavaria
Italy=Italian,Rome
Spain=Spanish,Catalan
Portugal=Portuguese
Netherlands=Dutch
Belgium=Belgian
Switzerland=Swiss
Austria=Austrian
Hungary=Hungarian
Czech Republic=Czech,Czechoslovak,Czechoslovakia
Slovakia=Slovak
Poland=Polish
Russia=Russian,Soviet,Soviet Union,USSR
Ukraine=Ukrainian
Belarus=Belarusian
Lithuania=Lithuanian
Latvia=Latvian
Estonia=Estonian
Finland=Finnish
Sweden=Swedish
Norway=Norwegian
Denmark=Danish
Iceland=Icelandic
Greece=Greek
Turkey=Turkish,Ottoman
Cyprus=Cypriot
Bulgaria=Bulgarian
Romania=Romanian
Moldova=Moldovan
Serbia=Serbian,Serb
Croatia=Croatian
Slovenia=Slovenian,Slovene
Bosnia and Herzegovina=Bosnian,Bosnia
North Macedonia=Macedonian,Macedonia
Montenegro=Montenegrin
Albania=Albanian
Kosovo=Kosovar
Yugoslavia=Yugoslav
Georgia=Georgian
Armenia=Armenian
Azerbaijan=Azerbaijani
Kazakhstan=Kazakh,Kazakhstani
Uzbekistan=Uzbek
Turkmenistan=Turkmen
Kyrgyzstan=Kyrgyz
Tajikistan=Tajik
Afghanistan=Afghan
Pakistan=Pakistani,Sindh,Balochistan
Bangladesh=Bangladeshi
Sri Lanka=Sri Lankan
Nepal=Nepalese,Nepali
Bhutan=Bhutanese
Myanmar=Burmese,Burma
Thailand=Thai
Laos=Laotian
Cambodia=Cambodian,Khmer
Vietnam=Vietnamese
Malaysia=Malaysian
Singapore=Singaporean
Indonesia=Indonesian
Philippines=Filipino,Philippine
Mongolia=Mongolian
Israel=Israeli
Palestine=Palestinian
Lebanon=Lebanese
Syria=Syrian
Jordan=Jordanian
Saudi Arabia=Saudi
Yemen=Yemeni
Oman=Omani
Kuwait=Kuwaiti
Qatar=Qatari
Bahrain=Bahraini
United Arab Emirates=Emirati,UAE
Egypt=Egyptian
Libya=Libyan
Tunisia=Tunisian
Algeria=Algerian
Morocco=Moroccan
Sudan=Sudanese
Ethiopia=Ethiopian
Eritrea=Eritrean
Somalia=Somali
Kenya=Kenyan
Uganda=Ugandan
Tanzania=Tanzanian
Rwanda=Rwandan
Burundi=Burundian
Nigeria=Nigerian
Ghana=Ghanaian
Senegal=Senegalese
Mali=Malian
Niger=Nigerien
Chad=Chadian
Cameroon=Cameroonian
Ivory Coast=Ivorian
Burkina Faso=Burkinabe
Benin=Beninese
Togo=Togolese
Gabon=Gabonese
Congo=Congolese
Angola=Angolan
Zambia=Zambian
Zimbabwe=Zimbabwean
Botswana=Botswanan
Namibia=Namibian
Mozambique=Mozambican
Malawi=Malawian
Madagascar=Malagasy
Mauritius=Mauritian
Mexico=Mexican
Guatemala=Guatemalan
Honduras=Honduran
El Salvador=Salvadoran
Nicaragua=Nicaraguan
Costa Rica=Costa Rican
Panama=Panamanian
Cuba=Cuban
Jamaica=Jamaican
Haiti=Haitian
Dominican Republic=Dominican
Puerto Rico=Puerto Rican
Trinidad and Tobago=Trinidadian
Guyana=Guyanese
Colombia=Colombian
Venezuela=Venezuelan
Ecuador=Ecuadorian
Peru=Peruvian
Bolivia=Bolivian
Brazil=Brazilian
Paraguay=Paraguayan
Uruguay=Uruguayan
Argentina=Argentine,Argentinian
Chile=Chilean
"""


@cache
def _names() -> tuple[dict[str, str], re.Pattern[str]]:
    """Return the country of each name, and a pattern of all names, the longest first."""
    country_of: dict[str, str] = {}
    for line in _COUNTRIES.split("\n"):
        country, _, names = line.partition("=")
        for name in (country, *names.split(",")):
            if name:
                country_of[name] = country
    longest_first = sorted(country_of, key=lambda name: (-len(name), name))
    return country_of, re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")


def countries_of(text: str) -> list[str]:
    """Return the countries that a text speaks of, in the order of their first mention, each once."""
    country_of, pattern = _names()
    return list(dict.fromkeys(country_of[match.group()] for match in pattern.finditer(text)))


def is_country(text: str) -> bool:
    """Return whether ``text`` is the name of a country, or of what belongs to one."""
    return text in _names()[0]
