// Legal forms of companies, by class.
//
// Chosen by hand from the list org_types.yml of rigour (https://github.com/opensanctions/rigour, MIT licence,
// Copyright (c) 2023-2025 OpenSanctions Datenbanken GmbH), from which also the classes are (its "generic"
// forms), and completed for Russia and its neighbours. Phrases are read as names are: without regard to case,
// accents, script, dots and spaces between single letters; so transliterations needn't be listed. In East
// Asian scripts: as Fold spells them.
#pragma once

#include <string_view>

namespace kvcrm::text::legal_forms {

struct Form {
  char type;
  std::string_view phrases;  // separated by semicolons
};

// kEnglish: what companies of any form call themselves abroad.
inline constexpr char kLimited = 'L', kJointStock = 'J', kCorporation = 'C', kEnglish = 'E',
                      kSoleTrader = 'S', kPartnership = 'P', kState = 'O', kNonProfit = 'N',
                      kCooperative = 'K', kTradingHouse = 'T', kResearch = 'R', kBank = 'B', kGroup = 'G';

inline constexpr Form kForms[] = {
    {kLimited,
     "ООО;Общество с ограниченной ответственностью;Общество с дополнительной ответственностью;ОДО;ООО Фирма;"
     "ТОО;Товарищество с ограниченной ответственностью;ЖШС;Жауапкершілігі шектеулі серіктестігі;ОсОО;"
     "ТОВ;ТзОВ;Товариство з обмеженою відповідальністю;ТАА;Таварыства з абмежаванай адказнасцю;"
     "МЧЖ;MChJ;масъулияти чекланган жамият;mas'uliyati cheklangan jamiyati;МЧЖ Хорижий "
     "корхона;ХХК;ЧТУП;ЧУП;ЧП;"
     "Частное предприятие;Приватне підприємство;ПП;Частное унитарное предприятие;MMC;məhdud məsuliyyətli "
     "cəmiyyət;"
     "Pte Ltd;Pte Limited;Private "
     "Limited;Pvt Ltd;"
     "Pvt Limited;Private Ltd;Pty Ltd;Pty Limited;Pty;Pte;Proprietary Limited;Private Limited Company;Sdn "
     "Bhd;"
     "Sendirian Berhad;GmbH;Gesellschaft mit beschränkter Haftung;Gesellschaft mbH;Ges "
     "mbH;GesmbH;mbH;gGmbH;UG;UG "
     "haftungsbeschränkt;"
     "haftungsbeschränkt;Unternehmergesellschaft;ГмбХ;"
     "SARL;S.à r.l.;S.A.R.L.;Société à responsabilité limitée;EURL;SASU;Sarlau;"
     "SRL;S.R.L.;Società a responsabilità limitata;Società responsabilità limitata;Societatea cu Răspundere "
     "Limitată;"
     "Societate cu Răspundere Limitată;Sociedad de Responsabilidad Limitada;SRLS;S de RL;S de RL de "
     "CV;SL;S.L.;SLU;"
     "Sociedad Limitada;Lda;Ltda;Limitada;Eireli;"
     "BV;B.V.;Besloten Vennootschap;Besloten Vennootschap met beperkte aansprakelijkheid;BVBA;SPRL;"
     "Sp z oo;Spółka z ograniczoną odpowiedzialnością;Sp zoo;Spzoo;Spółka z oo;"
     "sro;s.r.o.;spol s ro;společnost s ručením omezeným;spoločnosť s ručením obmedzeným;"
     "doo;d.o.o.;društvo s ograničenom odgovornošću;družba z omejeno odgovornostjo;дооел;DOOEL;"
     "ООД;ЕООД;дружество с ограничена отговорност;OOD;EOOD;"
     "Kft;Korlátolt Felelősségű Társaság;Oy;Osakeyhtiö;Ab Oy;Oy Ab;ApS;Anpartsselskab;OÜ;Osaühing;SIA;"
     "Sabiedrība ar ierobežotu atbildību;UAB;Uždaroji akcinė bendrovė;Ehf;Shpk;"
     "Ltd Şti;Limited Şirketi;Limited Şti;Sanayi ve Ticaret Ltd Şti;San ve Tic Ltd Şti;"
     "EPE;EPE Ltd;IKE;GK;YK;FZE;FZCO;FZ LLC;FZ LLCs;DMCC;WLL;"
     "goudou kaisha;you xian gong si;you xian ze ren gong si;youxian gongsi;shps"},
    {kEnglish,
     "LLC;Limited Liability Company;Limited Liability Co;LC;PLLC;Ltd Liability Co;Ltd Liability "
     "Company;Ltd;Limited;"
     "Ltd Co;Co Ltd;Company Limited;Co Limited;Company Ltd;Лтд;Лимитед;ЛЛС"},
    {kJointStock,
     "АО;Акционерное общество;ОАО;Открытое акционерное общество;ЗАО;Закрытое акционерное общество;ПАО;"
     "Публичное акционерное общество;НАО;Непубличное акционерное общество;АООТ;АОЗТ;"
     "Акционерное общество открытого типа;Акционерное общество закрытого типа;"
     "АТ;ПАТ;ПрАТ;ЗАТ;ВАТ;Акціонерне товариство;Публічне акціонерне товариство;Приватне акціонерне "
     "товариство;ААТ;"
     "Адкрытае акцыянернае таварыства;Закрытае акцыянернае таварыства;Акционерлік қоғам;Акционерлік "
     "қоғамы;"
     "JSC;OJSC;CJSC;PJSC;Joint Stock Company;Open Joint Stock Company;Closed Joint Stock Company;"
     "Public Joint Stock Company;Private Joint Stock Company;Joint Stock Co;AJ;QSC;PSC;QPSC;"
     "PLC;Public Limited Company;Public Ltd Company;Public Limited Co;Public Company "
     "Limited;PCL;Tbk;PT;Perseroan Terbatas;"
     "AG;A.G.;Aktiengesellschaft;AkG;gAG;SE;Societas Europaea;"
     "SA;S.A.;Société Anonyme;Sociedad Anónima;Sociedade Anônima;Societate pe Acțiuni;SAS;Société par "
     "actions simplifiée;"
     "Sociedad por Acciones Simplificada;SA de CV;Sociedad Anónima de Capital Variable;SAB de CV;SAPI de "
     "CV;SCA;SAU;SAA;"
     "S/A;SpA;S.p.A.;Società per azioni;Sociedad por acciones;"
     "NV;N.V.;Naamloze Vennootschap;Spółka Akcyjna;a.s.;Akciová společnost;Akciová spoločnosť;Anonim "
     "Şirketi;A.Ş.;AŞ;"
     "Anonim Ortaklığı;Sanayi ve Ticaret AŞ;San ve Tic AŞ;"
     "d.d.;dioničko društvo;delniška družba;a.d.;akcionarsko društvo;АД;ЕАД;Акционерно дружество;Акционарско "
     "друштво;"
     "Nyrt;Zrt;Rt;Nyilvánosan Működő Részvénytársaság;Zártkörűen Működő Részvénytársaság;Részvénytársaság;"
     "AB;Aktiebolag;Aktiebolaget;AB publ;A/S;ASA;Aktieselskab;Aksjeselskap;Allmennaksjeselskap;Oyj;Julkinen "
     "osakeyhtiö;"
     "AS;Aktsiaselts;Akciju sabiedrība;Akcinė bendrovė;Hf;ShA;AE;"
     "Kabushiki Kaisha;zhu shi hui she;gu fen you xian gong si;gufen youxian gongsi;jusig hoesa;"
     "ASC;Açıq Səhmdar Cəmiyyəti;QSC;Qapalı Səhmdar Cəmiyyəti"},
    {kCorporation,
     "Inc;Incorporated;Incorp;Corp;Corporation;Co Inc;Corp Inc;Inc Ltd;Corporation Limited;Corp Ltd;Инк;Корп;"
     "Company;Co;Компания;Фирма;Корпорация;and Co;und Co;et "
     "Cie;Cie;Cia;Compagnie;Compañía;Companhia;Kompania;NA"},
    {kSoleTrader,
     "ИП;Индивидуальный предприниматель;ПБОЮЛ;ИЧП;ЧП ИП;Предприниматель;СПД;ФОП;ФЛП;Фізична особа "
     "підприємець;"
     "Физическое лицо предприниматель;Жеке кәсіпкер;ЯТТ;Самозанятый;Individual Entrepreneur;Sole "
     "Proprietor;"
     "Sole Trader;e.K.;eK;eingetragener Kaufmann;Private Entrepreneur;КФХ;Глава КФХ;ИП Глава КФХ;"
     "Крестьянское фермерское хозяйство"},
    {kPartnership,
     "LP;Limited Partnership;LLP;Limited Liability Partnership;GP;General "
     "Partnership;KG;Kommanditgesellschaft;"
     "GmbH Co KG;GmbH & Co. KG;GmbH und Co KG;AG Co KG;SE Co KG;UG Co KG;UG haftungsbeschränkt Co KG;KGaA;"
     "GmbH Co KGaA;SE Co KGaA;Co KG;OHG;Offene Handelsgesellschaft;GbR;Gesellschaft bürgerlichen "
     "Rechts;PartG mbB;PartG;"
     "Sp k;Sp j;Spółka komandytowa;Spółka jawna;Sp zoo sp k;Sp z oo sp k;Spółka z ograniczoną "
     "odpowiedzialnością sp k;"
     "SNC;SCS;SAS di;Ky;Kommandiittiyhtiö;K/S;Kommanditbolag;KB;CV;VOF;КТ;Полное товарищество;"
     "Товарищество на вере;Коммандитное товарищество"},
    {kState,
     "ФГУП;Федеральное государственное унитарное предприятие;ГУП;Государственное унитарное предприятие;МУП;"
     "Муниципальное унитарное предприятие;ФКП;Федеральное казенное предприятие;КП;УП;РУП;КУП;"
     "Республиканское унитарное предприятие;Унитарное предприятие;ГП;Государственное предприятие;"
     "Державне підприємство;ДП;КГП;РГП;ГКП;ФГБУ;Федеральное государственное бюджетное "
     "учреждение;ФГКУ;ФКУ;ФГАУ;"
     "Федеральное казенное учреждение;Федеральное государственное казенное учреждение;"
     "Федеральное государственное автономное учреждение;ГБУ;Государственное бюджетное учреждение;ГАУ;ГКУ;"
     "Государственное казенное учреждение;Государственное автономное учреждение;ГУ;Государственное "
     "учреждение;МБУ;МКУ;"
     "МАУ;МУ;Муниципальное бюджетное учреждение;Муниципальное казенное учреждение;Муниципальное автономное "
     "учреждение;"
     "ГБУЗ;ФГБОУ ВО;ФГБОУ;ФГАОУ ВО;ФГАОУ;ГБОУ;МБОУ;МАОУ;МБДОУ;МАДОУ;ГБПОУ;ФГБНУ;ФГБУН;"
     "Федеральное государственное бюджетное образовательное учреждение высшего образования;"
     "Государственное бюджетное учреждение здравоохранения"},
    {kNonProfit,
     "НКО;Некоммерческая организация;АНО;Автономная некоммерческая организация;АНО ДПО;НП;Некоммерческое "
     "партнерство;"
     "ОО;Общественная организация;ОФ;БФ;Благотворительный фонд;Фонд;Фундация;Ассоциация;НОУ;ЧОУ;ЧУ;ЧОУ "
     "ДПО;"
     "Частное учреждение;ТСЖ;ТСН;СНТ;ЖСК;ГСК;СРО;Товарищество собственников жилья;"
     "eV;e.V.;eingetragener "
     "Verein;gGmbH;Stiftung;Foundation;Association;Stichting;Vzw;ASBL;NGO;Verein;ONG;z.s.;o.p.s.;"
     "Nonprofit;Non Profit Organization;Non Governmental Organization"},
    {kCooperative,
     "Кооператив;Производственный кооператив;ПК;СПК;СХПК;Сельскохозяйственный производственный "
     "кооператив;СХА;"
     "Потребительский кооператив;КПК;Co op;Coop;Cooperative;eG;eingetragene "
     "Genossenschaft;Genossenschaft;"
     "Колхоз;Совхоз;SCE;Cooperativa"},
    {kTradingHouse, "ТД;Торговый дом;Т/Д;Торговая компания;ТК;Торговая фирма;Торгово-промышленная компания"},
    {kResearch,
     "НПО;Научно-производственное объединение;НПП;Научно-производственное предприятие;НПК;НПФ;НПЦ;"
     "Научно-производственная компания;Научно-производственная фирма;Научно-производственный центр;"
     "Научно-производственный комплекс;ПО;Производственное объединение;ПКФ;ПКП;Производственно-коммерческая "
     "фирма;ПТК;"
     "Производственно-коммерческое предприятие;Производственная компания;НИИ;Научно-исследовательский "
     "институт;ПФ;"
     "Производственная фирма;КБ Завод"},
    {kBank,
     "АКБ;Акционерный коммерческий банк;КБ;Коммерческий банк;JSCB;Joint Stock Commercial Bank;"
     "Public Joint Stock Commercial Bank;НКБ"},
    // Groups of companies and offices: not a form, but no part of a name either.
    {kGroup,
     "ГК;Группа компаний;Группа предприятий;ГП Групп;МК;Группа;Group of Companies;Филиал;Филиал ООО;"
     "Представительство;Обособленное подразделение;ОП;Управляющая компания;УК;СК;Строительная компания;МПК;"
     "Branch;Representative Office"},
};

}  // namespace kvcrm::text::legal_forms
