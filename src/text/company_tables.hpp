// Words that say little in a company's name. Compiled by hand for kvcrm; read as names are, in either script.
#pragma once

#include <string_view>

namespace kvcrm::text::company_tables {

// Left out of the core when something distinctive is left.
inline constexpr std::string_view kGroupWords[] = {
    "групп группа group gruppe groupe grupo gruppo grup холдинг холдингс holding holdings the компани "
    "company "
    "international интернешнл интернэшнл интернейшнл интернационал int'l intl worldwide ворлдвайд",
};

// Cities of Russia and its neighbours, and what is written before them.
inline constexpr std::string_view kCities[] = {
    "г гор город область обл край республика район Москва Moscow мск Санкт Петербург Saint Petersburg СПб "
    "Питер "
    "Новосибирск Екатеринбург Казань Нижний Новгород Челябинск Самара Омск Ростов на Дону Уфа Красноярск "
    "Пермь Воронеж "
    "Волгоград Краснодар Саратов Тюмень Тольятти Ижевск Барнаул Ульяновск Иркутск Хабаровск Ярославль "
    "Владивосток "
    "Махачкала Томск Оренбург Кемерово Новокузнецк Рязань Набережные Челны Пенза Липецк Киров Астрахань "
    "Чебоксары "
    "Калининград Тула Курск Ставрополь Сочи Улан Удэ Тверь Магнитогорск Иваново Брянск Белгород Сургут "
    "Владимир Чита "
    "Архангельск Нижний Тагил Калуга Смоленск Волжский Якутск Саранск Череповец Курган Вологда Орёл Грозный "
    "Тамбов "
    "Мурманск Петрозаводск Кострома Новороссийск Йошкар Ола Таганрог Сыктывкар Нальчик Дзержинск Братск "
    "Нижневартовск Псков Бийск Абакан Подольск Мытищи Химки Балашиха Королёв Люберцы Минск Minsk Алматы "
    "Almaty Астана "
    "Astana Нур-Султан Шымкент Караганда Киев Kiev Kyiv Київ Харьков Одесса Днепр Львов Бишкек Ташкент "
    "Tashkent Баку "
    "Baku Ереван Yerevan Тбилиси Tbilisi Рига Riga Таллин Tallinn Вильнюс Vilnius Кишинев",
};

// Countries and large regions.
inline constexpr std::string_view kCountries[] = {
    "Россия Russia Rossiya РФ Русь Rus Украина Ukraine Беларусь Belarus Казахстан Kazakhstan Узбекистан "
    "Uzbekistan "
    "Кыргызстан Армения Armenia Грузия Georgia Азербайджан Azerbaijan Молдова Moldova Латвия Latvia Литва "
    "Lithuania "
    "Эстония Estonia СНГ CIS Германия Germany Deutschland France Франция Italy Italia Италия Spain España "
    "Испания "
    "Poland Polska Польша Czech Чехия Slovakia Hungary Magyarország Austria Österreich Австрия Switzerland "
    "Schweiz "
    "Suisse Швейцария Netherlands Nederland Holland Belgium Belgique Denmark Danmark Sweden Sverige Norway "
    "Norge "
    "Finland Suomi Финляндия Ireland UK Britain England USA US America Америка Americas Canada Mexico México "
    "Brazil "
    "Brasil Chile Argentina Colombia Peru China Китай Japan Япония Korea Корея India Индия Indonesia "
    "Malaysia "
    "Singapore Thailand Vietnam Philippines Australia Turkey Türkiye Турция Israel Egypt Iran Иран Iraq UAE "
    "ОАЭ Saudi "
    "Arabia Africa Африка Asia Азия Europe Европа Евразия Eurasia EU EMEA APAC Pacific Hong Kong Dubai "
    "London Berlin "
    "Paris Shanghai Beijing Tokyo",
};

// Trades and wares that many companies have in their names: they weigh half.
inline constexpr std::string_view kCommonWords[] = {
    "сервис service services сервисес трейд trade trading трейдинг инвест invest investment investments "
    "инвестиции строй "
    "строительство construction constructions проект project projects маркет market markets маркетинг "
    "marketing снаб "
    "supply снабжение торг монтаж комплект комплектация деталь ресурс resource resources логистика логистик "
    "logistics "
    "logistic консалт консалтинг consulting consult системс системы system systems технологии technologies "
    "technology "
    "tech тех маш машиностроение прибор лизинг leasing девелопмент development developments альянс alliance "
    "партнер "
    "партнёр партнеры партнерс partner partners центр center centre дом house сбыт экспорт export импорт "
    "import продукт "
    "продукты product products софт soft software лаб lab labs лаборатория laboratory laboratories телеком "
    "telecom медиа "
    "media финанс финансы finance financial капитал capital безопасность security инжиниринг engineering "
    "строитель "
    "поставка solutions solution решения bank банк banking insurance страхование industries industry "
    "industrial "
    "промышленность пром завод plant factory works фабрика комбинат manufacturing производство equipment "
    "оборудование "
    "components network networks сеть ventures global глобал energy энерго энергия oil gas газ нефть авто "
    "auto транс trans "
    "transport транспорт агро agro мед med medical медицина pharma фарм food foods national national first "
    "united new "
    "general management управление enterprise enterprises digital data online онлайн agency агентство studio "
    "студия "
    "institute институт академия academy university school школа fund trust real estate недвижимость "
    "property properties "
    "plus плюс юг север восток запад south north east west life home health care design дизайн print печать "
    "мебель furniture "
    "стройматериалы материалы materials metal металл steel сталь shop магазин store стор clinic клиника "
    "hotel отель "
    "restaurant ресторан cafe кафе travel тур туризм tours group групп corporation electronics electric "
    "электро motor motors "
    "state of de la and for government ministry department republic правительство министерство администрация "
    "посольство "
    "embassy committee комитет council совет фирма предприятие организация organization organisation union "
    "association "
    "people public private",
};

// Words between others that say nothing: dropped.
inline constexpr std::string_view kFillers[] = {"and und et the of de for для г гор город www http https ru"};

// Places with several names, a line each; the first stands for all.
inline constexpr std::string_view kPlaceNames[] = {
    "Москва мск Moscow",
    "Петербург спб Питер Petersburg",
    "Россия Russia РФ Rus",
    "Казахстан Kazakhstan Qazaqstan",
    "Беларусь Belarus",
    "Украина Ukraine",
    "Germany Deutschland Германия",
    "France Франция",
    "Italy Italia Италия",
    "Spain España Испания",
    "Poland Polska Польша",
    "Austria Österreich Австрия",
    "Switzerland Schweiz Suisse Швейцария",
    "Netherlands Nederland Holland",
    "China Китай",
    "Japan Япония",
    "India Индия",
    "Turkey Türkiye Турция",
    "Europe Европа",
    "Asia Азия",
    "US USA America Америка",
    "UK Britain",
};

// One word in several languages and spellings, a line each.
inline constexpr std::string_view kSynonyms[] = {
    "international intl интернешнл интернэшнл интернейшнл интернационал",
    "group групп группа gruppe groupe grupo gruppo grup groups",
    "service services сервис сервисес сервисез servis",
    "system systems система системы системс",
    "technology technologies tech технология технологии технолоджи технолоджис tekhnologii tehnologii",
    "trade trading трейд трейдинг",
    "logistic logistics логистик логистика логистикс",
    "consult consulting консалт консалтинг",
    "invest investment investments инвест инвестмент инвестиции",
    "engineering инжиниринг",
    "solution solutions решения солюшнс солюшенс",
    "partner partners партнер партнёр партнеры партнёры партнерс",
    "center centre центр",
    "laboratory laboratories lab labs лаб лаборатория",
    "development девелопмент",
    "industry industries индастриз индустрия",
    "finance finances финанс финансы",
    "security секьюрити",
    "market markets маркет",
    "resource resources ресурс ресурсы",
    "product products продукт продукты продактс",
    "project projects проект проекты",
    "insurance страхование",
    "bank банк banque banco banca",
    "labor labour",
    "organization organisation организация",
    "building stroitelstvo строительство",
    "company компани compani",
    "digital диджитал",
    "capital капитал",
    "design дизайн",
    "travel трэвел тревел",
    "motor motors моторс мотор",
    "electronics электроникс электроника",
};

// Numbers in words.
struct NumberWord {
  std::string_view words;
  int number;
};
inline constexpr NumberWord kNumberWords[] = {
    {"one first первый первая первое", 1},
    {"two second второй вторая второе", 2},
    {"three third третий третья", 3},
    {"four fourth четвертый", 4},
    {"five fifth пятый", 5},
    {"six sixth шестой", 6},
    {"seven seventh седьмой", 7},
    {"eight eighth восьмой", 8},
    {"nine ninth", 9},
    {"ten tenth", 10},
    {"eleven", 11},
    {"twelve", 12},
    {"thirteen", 13},
    {"fourteen", 14},
    {"fifteen", 15},
    {"sixteen", 16},
    {"seventeen", 17},
    {"eighteen", 18},
    {"nineteen", 19},
    {"twenty", 20},
    {"thirty", 30},
    {"forty fourty", 40},
    {"fifty", 50},
    {"sixty", 60},
    {"seventy", 70},
    {"eighty", 80},
    {"ninety", 90},
    {"hundred", 100},
    {"сто", 100},
};

// Behind a number: 1st, 2-й.
inline constexpr std::string_view kOrdinalEnds[] = {"st nd rd th й ый ой я ая е ое"};

}  // namespace kvcrm::text::company_tables
